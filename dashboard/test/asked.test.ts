/** What is asked of the service, and how seldom. */

import { expect, test } from "vitest";

import type { Answer, Ask } from "../src/api";
import { Pages } from "../src/pages";
import { Users } from "../src/users";
import { Yesterday } from "../src/yesterday";
import { Zone } from "../src/zone";

const NOW = Date.parse("2026-07-02T10:17:30Z") / 1000;
const DAY = 86_400;
const HOUR = 3_600;
const utc = new Zone("UTC");

/** A service that notes what it is asked. */
function service(answer: (path: string) => Answer<unknown>): { ask: Ask; asked: string[] } {
  const asked: string[] = [];
  const ask: Ask = async <T>(path: string) => {
    asked.push(path);
    return answer(path) as Answer<T>;
  };
  return { ask, asked };
}

const minutes = (path: string): Answer<unknown> => {
  const query = new URLSearchParams(path.split("?")[1]);
  const [start, end] = [Number(query.get("start")), Number(query.get("end"))];
  const time = Array.from({ length: (end - start) / 60 }, (_, at) => start + at * 60);
  return { ok: true, body: { time, status: time.map(() => "final"), series: [{ events: time.map(() => 1) }] } };
};
const settled = () => new Promise((resolve) => setTimeout(resolve));

test("the day before is asked for by whole hours, once for an hour or more", async () => {
  const { ask, asked } = service(minutes);
  const yesterday = new Yesterday(ask, () => {});
  for (let now = NOW; now < NOW + HOUR; now += 2) {
    yesterday.want({}, now - DAY - HOUR, now - DAY, now);
    await Promise.resolve();
  }
  await settled();
  expect(asked).toHaveLength(1);
  const query = new URLSearchParams(asked[0]?.split("?")[1]);
  expect(Number(query.get("start")) % HOUR).toBe(0);
  expect(Number(query.get("end")) % HOUR).toBe(0);
  yesterday.want({}, NOW + 2 * HOUR - DAY - HOUR, NOW + 2 * HOUR - DAY, NOW + 2 * HOUR);
  await settled();
  expect(asked).toHaveLength(2);
});

test("where there is no history it asks for what the hot store has, and no more for the rest", async () => {
  const { ask, asked } = service((path) => {
    const start = Number(new URLSearchParams(path.split("?")[1]).get("start"));
    return start < NOW - 25 * HOUR ? { ok: false, code: "parameter_invalid", message: "" } : minutes(path);
  });
  const yesterday = new Yesterday(ask, () => {});
  yesterday.want({}, NOW - 2 * DAY, NOW - DAY, NOW);
  await settled();
  expect(asked).toHaveLength(2);
  expect(yesterday.past?.time[0]).toBeGreaterThanOrEqual(NOW - 25 * HOUR);
  yesterday.want({}, NOW - 2 * DAY, NOW - DAY + 2, NOW + 2);
  await settled();
  expect(asked).toHaveLength(2);
});

test("an answer to the filter before is left out, and a failure is tried again after a minute", async () => {
  const slow: ((answer: Answer<unknown>) => void)[] = [];
  let count = 0;
  const ask: Ask = <T>() => {
    count += 1;
    return new Promise<Answer<T>>((resolve) => slow.push(resolve as (answer: Answer<unknown>) => void));
  };
  const yesterday = new Yesterday(ask, () => {});
  yesterday.want({}, NOW - DAY - HOUR, NOW - DAY, NOW);
  yesterday.want({ country: "DE" }, NOW - DAY - HOUR, NOW - DAY, NOW);
  slow[0]?.({ ok: true, body: { time: [0], status: ["final"], series: [{}] } });
  await settled();
  expect(yesterday.past).toBeNull();
  slow[1]?.({ ok: false, code: "", message: "" });
  await settled();
  expect(yesterday.past?.time).toEqual([]);
  yesterday.want({ country: "DE" }, NOW - DAY - HOUR, NOW - DAY, NOW + 59);
  expect(count).toBe(2);
  yesterday.want({ country: "DE" }, NOW - DAY - HOUR, NOW - DAY, NOW + 60);
  expect(count).toBe(3);
});

test("users of before are asked for every five minutes, of the whole project only", async () => {
  const reply = { time: [NOW], status: ["final"], series: [{ unique_users: [7] }] };
  const { ask, asked } = service(() => ({ ok: true, body: reply }));
  const users = new Users(ask, () => {});
  for (let now = NOW; now < NOW + 1_800; now += 2) users.want({}, now, utc);
  await settled();
  expect(users.yesterday).toBe(7);
  expect(users.minutes).toEqual([[NOW, 7]]);
  expect(asked.length).toBeGreaterThanOrEqual(12); // two each
  expect(asked.length).toBeLessThanOrEqual(14);
  users.want({ country: "DE" }, NOW + 3_600, utc);
  await settled();
  expect(asked.length).toBeLessThanOrEqual(14);
  expect(users.yesterday).toBeNull();
});

test("pages at most once a minute, seldom where there are none to be had, never those of another filter", async () => {
  let refuse = false;
  const { ask, asked } = service(() => (refuse
    ? { ok: false, code: "parameter_invalid", message: "" }
    : { ok: true, body: { values: ["/a", "other"], events: [3, 1], share: [0.75, 0.25] } }));
  const pages = new Pages(ask, () => {});
  for (let now = 1e9; now < 1e9 + 180_000; now += 1_000) pages.want({}, now);
  await settled();
  expect(asked).toHaveLength(3);
  expect(pages.rows.map(({ value }) => value)).toEqual(["/a", "other"]);
  refuse = true;
  pages.want({ country: "DE" }, 1e9 + 180_000);
  expect(pages.rows).toEqual([]);
  await settled();
  expect(pages.said).toContain("raw events");
  for (let now = 1e9 + 180_000; now < 1e9 + 480_000; now += 1_000) pages.want({ country: "DE" }, now);
  expect(asked).toHaveLength(4);
});
