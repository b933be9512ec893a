import { expect, test } from "vitest";

import { aligned, NO_PAST, type Past, pastNow, pastValue } from "../src/compare";
import { Zone } from "../src/zone";

const at = (text: string) => Date.parse(text) / 1000;
const utc = new Zone("UTC");
const berlin = new Zone("Europe/Berlin");

/** Minutes from a time on, all final, minute i with i events. */
function past(from: number, minutes: number, more: Partial<Past> = {}): Past {
  const time = Array.from({ length: minutes }, (_, index) => from + index * 60);
  const events = time.map((_, index) => index);
  return {
    time, status: time.map(() => "final" as const),
    columns: { events, errors: events.map(() => 1), revenue: events.map(() => 2) }, ...more,
  };
}

test("a minute is compared with the one of the same clock the day before", () => {
  const before = past(at("2026-07-01T10:00:00Z"), 60);
  const times = [at("2026-07-02T09:59:00Z"), at("2026-07-02T10:00:00Z"), at("2026-07-02T10:42:00Z")];
  expect(aligned(before, "events", times, utc)).toEqual([null, 0, 42]);
});

test("on the day the clocks go back a minute is compared with one 25 hours before", () => {
  const before = past(at("2026-10-24T10:00:00Z"), 60);
  expect(aligned(before, "events", [at("2026-10-25T11:07:00Z")], berlin)).toEqual([7]);
});

test("an hour that was left out the day before has no data", () => {
  const before = past(at("2026-03-29T00:00:00Z"), 180);
  const found = aligned(before, "events", [at("2026-03-30T00:30:00Z"), at("2026-03-30T01:30:00Z")], berlin);
  expect(found).toEqual([null, 90]);
});

test("no data before the first minute, none where minutes are missing, zero after the first", () => {
  const status = ["none", "final", "none", "missing"] as const;
  const columns = { events: [0, 5, 0, null] };
  const before = past(0, 4, { status, columns });
  expect([0, 60, 120, 180, 240].map((time) => pastValue(before, "events", time))).toEqual([null, 5, 0, null, null]);
});

test("the figures of now are of the same minutes as the service counts, the last in part", () => {
  const before = past(at("2026-07-01T10:00:00Z"), 120);
  const found = pastNow(before, at("2026-07-02T11:30:15Z"), utc);
  expect(found.events_per_second).toBeCloseTo(90 / 60);
  expect(found.revenue_per_hour).toBeCloseTo(59 * 2 + 0.25 * 2);
  expect(found.error_rate).toBeCloseTo(4.25 / (86 + 87 + 88 + 89 + 0.25 * 90), 1);
});

test("where a part is not known nothing is said", () => {
  const before = past(at("2026-07-01T10:00:00Z"), 60);
  expect(pastNow(before, at("2026-07-02T10:30:00Z"), utc).revenue_per_hour).toBeNull();
  expect(pastNow(before, at("2026-07-02T10:30:00Z"), utc).events_per_second).toBe(0.5);
  expect(pastNow(NO_PAST, 1_000_000, utc)).toEqual({ events_per_second: null, revenue_per_hour: null, error_rate: null });
});
