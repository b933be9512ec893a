import { expect, test } from "vitest";
import { add, type Batch, body, expired, newBatch, pack, size, split, unpack } from "../../src/collector/batch.js";

const HOUR = 3_600_000;

function batchOf(texts: string[]): Batch {
  const batch = newBatch(1_000);
  for (const text of texts) add(batch, JSON.stringify({ text }));
  return batch;
}

const TEXTS = ["", "ü€😀", '"quotes" and \\', "\ud800", "line\nbreak", "__proto__"];

test("packing and unpacking gives the same content", () => {
  const batch = batchOf(TEXTS);
  batch.sent = 7;
  const again = unpack(batch.id, pack(batch));
  expect(again).toEqual(batch);
  expect(JSON.parse(body(again)).events).toEqual(JSON.parse(body(batch)).events);
});

test("a body is a request: id, time of sending, events in their order", () => {
  const said = JSON.parse(body(batchOf(["a", "b"])));
  expect(said).toEqual({ batch_id: expect.stringMatching(/^[0-9a-f-]{36}$/), sent_at: expect.any(Number), events: [{ text: "a" }, { text: "b" }] });
});

test("bytes are UTF-8", () => {
  const batch = batchOf(TEXTS);
  expect(batch.bytes).toBe(size(batch.events.join()) + 1);
});

test("halves hold all, under ids that are the same each time and fit", () => {
  const whole = batchOf(Array.from({ length: 1_000 }, (_, n) => `${n}`));
  const parts = (batch: Batch): Batch[] => (batch.events.length > 1 ? split(batch).flatMap(parts) : [batch]);
  const single = parts(whole);
  expect(single.flatMap((batch) => batch.events)).toEqual(whole.events);
  expect(new Set(single.map(({ id }) => id)).size).toBe(1_000);
  expect(Math.max(...single.map(({ id }) => id.length))).toBeLessThanOrEqual(64);
  expect(split(whole)).toEqual(split(whole));
});

test("what was handed over is sent again for 20 hours, what was not for 7 days", () => {
  const batch = batchOf(["a"]);
  expect(expired(batch, batch.at + 167 * HOUR)).toBe(false);
  expect(expired(batch, batch.at + 169 * HOUR)).toBe(true);
  batch.sent = batch.at + 100 * HOUR;
  expect(expired(batch, batch.sent + 19 * HOUR)).toBe(false);
  expect(expired(batch, batch.sent + 21 * HOUR)).toBe(true);
});
