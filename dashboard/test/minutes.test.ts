import { expect, test } from "vitest";

import { column, errorShares, fittingHours, hasEvents, lastHour, split } from "../src/minutes";
import { seriesOf, T0 } from "./series";

const drawn = (pattern: string, more = {}) => {
  const series = seriesOf(pattern, more);
  return split(series, column(series, "events"));
};

test("before the first data there is a gap, after it a minute of nothing is a zero", () => {
  expect(drawn("..f.f").complete).toEqual([null, null, 3, 0, 5]);
});

test("the minute in progress is a line of its own that meets the complete one", () => {
  expect(drawn("ffp")).toEqual({ complete: [1, 2, null], progress: [null, 2, 3] });
});

test("a minute in progress that a complete one follows is joined on both sides", () => {
  expect(drawn("fpf").progress).toEqual([1, 2, 3]);
});

test("what is not over yet is a gap, and with a silent pipeline all that nobody knows", () => {
  expect(drawn("ff.").complete).toEqual([1, 2, null]);
  const silent = { job: { alive: false, last_beat: T0, log_lost_since: null }, asOf: T0 + 600 };
  expect(drawn("ff...", silent).complete).toEqual([1, 2, null, null, null]);
  expect(drawn("ff...", { asOf: T0 + 600 }).complete).toEqual([1, 2, 0, 0, 0]);
});

test("the last hour has complete minutes only", () => {
  expect(lastHour(seriesOf("frp"), [1, 2, 3])).toEqual([[T0, 1], [T0 + 60, 2]]);
});

test("error shares leave out minutes without events", () => {
  const series = seriesOf("fff", { columns: { events: [10, 0, 4], errors: [1, 0, 2] } });
  expect(errorShares(series)).toEqual([[T0, 0.1], [T0 + 120, 0.5]]);
});

test("the shortest span that has all there is", () => {
  expect(fittingHours(seriesOf("f".repeat(30)), [1, 6, 24])).toBe(1);
  expect(fittingHours(seriesOf("f".repeat(200)), [1, 6, 24])).toBe(6);
  expect(fittingHours(seriesOf("...."), [1, 6, 24])).toBe(24);
  expect(hasEvents(seriesOf("...."))).toBe(false);
});
