import { expect, test } from "vitest";

import { connectionSaid, connectionText } from "../src/connection";
import { figures } from "../src/figures";
import { column } from "../src/minutes";
import { curl, scriptTag } from "../src/snippets";
import { summary } from "../src/summary";
import { tabled } from "../src/table";
import { Zone } from "../src/zone";
import { seriesOf, T0 } from "./series";

const utc = new Zone("UTC");
const users = { yesterday: null, minutes: [] };

test("every state has its words", () => {
  const now = T0 * 1000;
  const text = (connection: Parameters<typeof connectionText>[0]) => connectionText(connection, now, utc);
  expect(text({ state: "connecting" })).toBe("connecting");
  expect(text({ state: "live", transport: "websocket" })).toBe("live");
  expect(text({ state: "live", transport: "sse", every: 10_000 })).toBe("live, every 10 s");
  expect(text({ state: "stale", since: now })).toBe("stale since 10:00");
  expect(text({ state: "reconnecting", until: now + 11_200 })).toBe("reconnecting in 12 s");
  expect(text({ state: "reconnecting", until: now + 1_200 })).toBe("reconnecting in \u20072 s");
  expect(text({ state: "reconnecting", until: now - 1 })).toBe("reconnecting");
  expect(text({ state: "offline" })).toBe("offline");
  expect(text({ state: "denied", failure: { code: "", message: "" } })).toBe("not allowed");
  expect(connectionSaid({ state: "reconnecting", until: now })).not.toMatch(/\d/);
});

test("the summary says how much, when most, and how yesterday was", () => {
  const series = seriesOf("fffp");
  expect(summary(series, "events", T0, T0 + 180, null, utc))
    .toBe("10 events from 10:00 to 10:03; most 3 at 10:02; last complete minute 3.");
  // Only minutes that are complete and that yesterday has too are compared.
  expect(summary(series, "events", T0, T0 + 180, [1, 1, null, 9], utc)).toContain("50% more than yesterday (2)");
  expect(summary(series, "events", T0, T0 + 180, [null, null, null, null], utc)).toContain("no data for yesterday");
  expect(summary(series, "revenue", T0, T0 + 60, null, utc)).toContain("$4.50 of revenue from 10:00 to 10:01");
  expect(summary(seriesOf("...p"), "events", T0, T0 + 180, null, utc)).toBe("4 events from 10:00 to 10:03.");
  expect(summary(seriesOf("...."), "events", T0, T0 + 180, null, utc)).toBe("No data in this time.");
});

test("the figures say what they were at the same time yesterday, or that nobody knows", () => {
  const series = seriesOf("ffp");
  const past = { events_per_second: 2, revenue_per_hour: 81.5, error_rate: 0.04 };
  const found = figures(series, { yesterday: 1_000, minutes: [] }, past);
  expect(found.users).toMatchObject({ value: "~1,204", versus: "▲ 20% on ~1,000 yesterday" });
  expect(found.users.about).toContain("1,204 ± 10 users (one standard error)");
  expect(found.events.versus).toBe("▲ 25% on 2.0 yesterday");
  expect(found.revenue.versus).toBe("= 0% on $81.50 yesterday");
  expect(found.errors.words).toBe("50% less than 4.00% yesterday at this time");
  expect(figures(series, users, null).events.versus).toBe("no data for yesterday");
});

test("with several filters users are not counted, and it says so", () => {
  const series = seriesOf("ffp");
  const several = { ...series, now: { ...series.now, active_users: null, active_users_error: null } };
  expect(figures(several, users, null).users).toMatchObject({ value: "–", about: "Not counted for several filters together." });
});

test("the table has what the chart has: minutes, or hours of local clocks, newest first", () => {
  const minutes = tabled(seriesOf("frp"), T0, T0 + 120, [[T0 + 60, 5]], [7, 8, null], utc);
  expect(minutes.rows.map(({ users }) => users)).toEqual([null, 5, null]);
  expect(minutes.rows.map(({ time, status, past }) => [time, status, past])).toEqual([
    [T0 + 120, "partial", null], [T0 + 60, "revised", 8], [T0, "final", 7],
  ]);
  const long = seriesOf("f".repeat(400) + "p");
  const kolkata = new Zone("Asia/Kolkata"); // 10:00Z is 15:30
  const { step, rows } = tabled(long, T0, T0 + 400 * 60, [[T0, 5]], null, kolkata);
  expect(rows.every(({ users }) => users === null)).toBe(true); // of minutes, which do not add up
  expect(step).toBe(3600);
  expect(rows.every(({ time }) => kolkata.clock(time).endsWith(":00"))).toBe(true);
  const total = column(long, "events").reduce((sum, each) => sum + each, 0);
  expect(rows.reduce((sum, { values }) => sum + values.events, 0)).toBe(total);
  expect(rows[0]?.status).toBe("partial");
});

test("snippets have the key where it is known", () => {
  const places = { service: "https://stats.example", collector: "https://in.example/", key: "slw_1" };
  expect(scriptTag(places)).toContain('src="https://stats.example/streamlens.js"');
  expect(scriptTag(places)).toContain('data-endpoint="https://in.example"');
  expect(curl(places)).toContain("X-Write-Key: slw_1");
  expect(curl(places)).toContain("-A 'Mozilla/5.0"); // else it is a bot, and never seen
  expect(curl({ ...places, key: null })).toContain("YOUR-WRITE-KEY");
});
