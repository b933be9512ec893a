import { beforeEach, expect, test } from "vitest";
import { add, type Batch, newBatch, pack, split } from "../../src/collector/batch.js";
import { openStore, type Store } from "../../src/collector/store.js";
import { asStorage, FakeStorage } from "./fakes.js";

let fake: FakeStorage;
let store: Store;

beforeEach(() => {
  fake = new FakeStorage();
  store = openStore(asStorage(fake), "p:");
});

function batchAt(ms: number, changes: Partial<Batch> = {}): Batch {
  const batch = { ...newBatch(ms), ...changes };
  add(batch, "{}");
  add(batch, '{"a":1}');
  store.put(batch);
  return batch;
}

test("batches that were let go come back, oldest first", () => {
  const b = batchAt(2_000, { held: false });
  const a = batchAt(1_000, { held: false, sent: 1_500 });
  expect(store.adopt(3_000)).toEqual({ batches: [a, b], later: false });
});

test("what a page may still change is left to it for 20 s", () => {
  const held = batchAt(1_000);
  expect(store.adopt(20_999)).toEqual({ batches: [], later: true });
  expect(store.adopt(21_000)).toEqual({ batches: [held], later: false });
});

test("keys of others are not touched, and what cannot be read is removed", () => {
  fake.setItem("theirs", "x");
  fake.setItem("p:1", "no JSON");
  fake.setItem("p:2", "{}");
  fake.setItem("q:3", pack(newBatch(0)));
  expect(store.adopt(0).batches).toEqual([]);
  expect(Object.keys(fake).sort()).toEqual(["q:3", "theirs"]);
  batchAt(0);
  store.clear();
  expect(Object.keys(fake).sort()).toEqual(["q:3", "theirs"]);
});

test("of a split that was not finished the whole counts", () => {
  const whole = batchAt(0, { held: false });
  const [a] = split(whole);
  store.put(a);
  expect(store.adopt(0).batches).toEqual([whole]);
  expect(Object.keys(fake)).toEqual([`p:${whole.id}`]);
});

test("of a split that was, the halves", () => {
  const whole = batchAt(0, { held: false });
  const halves = split(whole);
  halves.forEach((half) => store.put(half));
  store.drop(whole);
  expect(store.adopt(0).batches).toEqual(halves);
});

test("a full storage says so", () => {
  const full = openStore(asStorage({ setItem: () => { throw new Error("full"); } }), "p:");
  expect(full.put(newBatch(0))).toBe(false);
});

test("when a batch was handed over is read from the store; one that is gone may have been at once", () => {
  const batch = batchAt(1_000);
  expect(store.sent(batch)).toBe(0);
  store.put({ ...batch, sent: 2_000 });
  expect(store.sent(batch)).toBe(2_000);
  store.drop(batch);
  expect(store.sent(batch)).toBe(1_000);
  expect(openStore(undefined, "p:").sent(batch)).toBe(0);
});

test("without a storage nothing is kept, and nothing fails", () => {
  const none = openStore(undefined, "p:");
  const batch = newBatch(0);
  expect(none.put(batch)).toBe(true);
  none.drop(batch);
  none.clear();
  expect(none.adopt(0)).toEqual({ batches: [], later: false });
});
