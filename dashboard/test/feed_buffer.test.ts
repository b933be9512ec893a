import { expect, test } from "vitest";

import { FeedBuffer, wanted } from "../src/feed_buffer";
import type { RecentEvent } from "../src/live";

const event = (number: number): RecentEvent => ({
  id: String(number), at: number, accepted: true, type: "page_view", url: `https://shop.example/${number % 3}`,
  category: null, country: "DE", device: "mobile", revenue: null,
});
const refused: RecentEvent = { id: "r", at: 0, accepted: false, code: "event_ts_invalid", message: "ts is wrong." };

/** The last 200 of the events up to `to`, as a series has them. */
const recent = (to: number) => Array.from({ length: Math.min(to, 200) }, (_, at) => event(to - Math.min(to, 200) + at + 1));
const shown = (buffer: FeedBuffer) => buffer.shown.map(({ id }) => Number(id));

test("newest first, and no more than 100", () => {
  const buffer = new FeedBuffer();
  buffer.take(recent(3));
  expect(shown(buffer)).toEqual([3, 2, 1]);
  buffer.take(recent(500));
  expect(buffer.shown.length).toBe(100);
  expect(shown(buffer)[0]).toBe(500);
});

test("a pause keeps what is shown and counts what comes, whatever the steps", () => {
  for (const steps of [[12], [4, 4, 4], [1, 0, 11], [5, 0, 0, 7]]) {
    const buffer = new FeedBuffer();
    buffer.take(recent(250));
    buffer.pause();
    let last = 250;
    for (const step of steps) {
      last += step;
      buffer.take(recent(last));
    }
    expect(buffer.waiting).toBe("12 new");
    expect(shown(buffer)[0]).toBe(250);
    buffer.resume();
    expect(shown(buffer)[0]).toBe(262);
    expect(buffer.waiting).toBe("");
  }
});

test("more than can be told apart are many", () => {
  const buffer = new FeedBuffer();
  buffer.take(recent(10));
  buffer.pause();
  buffer.take(recent(1_000));
  expect(buffer.waiting).toBe("100+ new");
});

test("a painting without news counts nothing", () => {
  const buffer = new FeedBuffer();
  const same = recent(5);
  buffer.take(same);
  buffer.pause();
  buffer.take(same);
  buffer.take(recent(5));
  expect(buffer.waiting).toBe("");
});

test("after another subscription the first events are all new ones, and are shown", () => {
  const buffer = new FeedBuffer();
  buffer.take(recent(5));
  buffer.clear();
  expect(buffer.shown).toEqual([]);
  buffer.take(recent(2));
  expect(shown(buffer)).toEqual([2, 1]);
});

test("of one page, or the rejected only", () => {
  const all = [refused, event(1), event(2), event(4)];
  expect(wanted(all, { rejected: true, page: null })).toEqual([refused]);
  expect(wanted(all, { rejected: false, page: "https://shop.example/1" }).map(({ id }) => id)).toEqual(["1", "4"]);
  expect(wanted(all, { rejected: false, page: null })).toEqual(all);
});
