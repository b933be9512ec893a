import { expect, test } from "vitest";
import { openSession } from "../../src/collector/session.js";
import { asStorage, FakeStorage } from "./fakes.js";

const counter = (id: string): number => parseInt(id.slice(15, 18), 16);
const MINUTE = 60_000;

test("a session numbers its events, over page loads too", () => {
  const area = asStorage(new FakeStorage());
  const first = openSession(area, "s");
  const a = first.stamp(1_000);
  const b = first.stamp(2_000);
  first.save();
  const c = openSession(area, "s").stamp(3_000);
  expect([a, b, c].map(({ id }) => counter(id))).toEqual([0, 1, 2]);
  expect(new Set([a.session_id, b.session_id, c.session_id]).size).toBe(1);
  expect(new Set([a.user_id, b.user_id, c.user_id]).size).toBe(1);
});

test("after half an hour without events a new session begins, of the same user", () => {
  const session = openSession(undefined, "s");
  const a = session.stamp(0);
  const b = session.stamp(30 * MINUTE);
  const c = session.stamp(61 * MINUTE);
  expect(b.session_id).toBe(a.session_id);
  expect(c.session_id).not.toBe(a.session_id);
  expect(counter(c.id)).toBe(0);
  expect(c.user_id).toBe(a.user_id);
});

test("a user can be named, and be nobody again", () => {
  const session = openSession(undefined, "s");
  const anonymous = session.stamp(0).user_id;
  session.identify("u-1");
  expect(session.stamp(1).user_id).toBe("u-1");
  session.identify("");
  expect([anonymous, "u-1"]).not.toContain(session.stamp(2).user_id);
});

test("what is in the storage and not ours is replaced", () => {
  for (const text of ["", "null", "{}", "[[", "7"]) {
    const fake = new FakeStorage();
    fake.setItem("s", text);
    const stamp = openSession(asStorage(fake), "s").stamp(0);
    expect(stamp.user_id).toMatch(/^[0-9a-f-]{36}$/);
  }
});

test("a full storage is no reason to stop", () => {
  const area = asStorage({ getItem: () => null, setItem: () => { throw new Error("full"); } });
  const session = openSession(area, "s");
  const { session_id } = session.stamp(0);
  session.save();
  expect(session.stamp(1).session_id).toBe(session_id);
});

test("forgetting leaves nothing", () => {
  const fake = new FakeStorage();
  const session = openSession(asStorage(fake), "s");
  const before = session.stamp(0);
  session.save();
  session.forget();
  expect(Object.keys(fake)).toEqual([]);
  expect(session.stamp(1).user_id).not.toBe(before.user_id);
});
