import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { deliver, type Delivery, type Surroundings } from "../../src/collector/delivery.js";
import { openStore } from "../../src/collector/store.js";
import { asStorage, type Body, FakeStorage } from "./fakes.js";

const SECOND = 1_000;
const HOUR = 3_600 * SECOND;
const QUOTA = 65_536;

/** A page whose requests are answered by `answer`. */
class FakePage {
  storage = new FakeStorage();
  posts: Body[] = [];
  keepalive: boolean[] = [];
  beacons: Body[] = [];
  quota = QUOTA; // of beacons, which in these tests are never done
  online = true;
  hidden = false;
  silent = false;
  answer: (body: Body) => number | undefined | Promise<number | undefined> = () => undefined;
  delivery: Delivery;

  constructor(changes: Partial<Surroundings> = {}, storage?: FakeStorage) {
    if (storage) this.storage = storage;
    this.delivery = deliver({
      store: openStore(asStorage(this.storage), "p:"),
      transport: {
        post: async (text, keepalive) => {
          this.posts.push(JSON.parse(text));
          this.keepalive.push(keepalive);
          return this.answer(this.posts.at(-1)!);
        },
        beacon: (text) => {
          if (text.length > this.quota) return false;
          this.quota -= text.length;
          this.beacons.push(JSON.parse(text));
          return true;
        },
      },
      batchEvents: 10, batchBytes: 30_000, queueBytes: 500_000,
      silent: () => this.silent,
      online: () => this.online,
      hidden: () => this.hidden,
      ...changes,
    });
  }

  track(...numbers: number[]): void {
    for (const n of numbers) this.delivery.add(JSON.stringify({ n }));
  }

  get kept(): string[] {
    return Object.keys(this.storage);
  }
}

const numbers = (bodies: Body[]): unknown[][] => bodies.map(({ events }) => events.map(({ n }) => n));
const never = () => new Promise<undefined>(() => {});

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(Math, "random").mockReturnValue(0.5);
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

test("events of 50 ms share a request, and nothing is left when it is answered", async () => {
  const page = new FakePage();
  page.track(1, 2);
  await vi.advanceTimersByTimeAsync(49);
  page.track(3);
  expect(page.posts).toEqual([]);
  expect(page.kept).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(1);
  expect(numbers(page.posts)).toEqual([[1, 2, 3]]);
  expect(page.kept).toEqual([]);
});

test("a full batch goes at once", async () => {
  const page = new FakePage();
  page.track(...Array(10).keys());
  await vi.advanceTimersByTimeAsync(0);
  expect(numbers(page.posts)).toEqual([[...Array(10).keys()]]);
});

test("one request is under way; what comes meanwhile shares the next", async () => {
  const page = new FakePage();
  let answer: (value: undefined) => void = () => {};
  page.answer = () => new Promise((done) => { answer = done; });
  page.track(1);
  await vi.advanceTimersByTimeAsync(50);
  page.track(2);
  await vi.advanceTimersByTimeAsync(500);
  page.track(3);
  await vi.advanceTimersByTimeAsync(500);
  expect(page.posts).toHaveLength(1);
  answer(undefined);
  await vi.advanceTimersByTimeAsync(0);
  expect(numbers(page.posts)).toEqual([[1], [2, 3]]);
});

test("a batch is bounded in bytes", async () => {
  const page = new FakePage();
  page.delivery.add(`"${"x".repeat(20_000)}"`);
  page.delivery.add(`"${"ü".repeat(10_000)}"`);
  await vi.advanceTimersByTimeAsync(0);
  expect(page.posts.map(({ events }) => events.length)).toEqual([1, 1]);
});

test("what failed is sent again under the same id and with the same content, later and later", async () => {
  const page = new FakePage();
  const times: number[] = [];
  const begin = Date.now();
  page.answer = () => { times.push(Date.now() - begin); return 0; };
  page.track(1);
  await vi.advanceTimersByTimeAsync(8 * SECOND);
  page.track(2);
  await vi.advanceTimersByTimeAsync(10 * HOUR);
  expect(times.slice(0, 5)).toEqual([50, 550, 1_550, 3_550, 7_550]); // full jitter of 1, 2, 4, 8 s
  expect(Math.max(...times.slice(1).map((t, i) => t - times[i]!))).toBeLessThanOrEqual(120 * SECOND);
  const contents = new Map<string, string>();
  for (const { batch_id, events } of page.posts) {
    const content = JSON.stringify(events);
    expect(contents.get(batch_id) ?? content).toBe(content);
    contents.set(batch_id, content);
  }
  expect([...contents.values()].sort()).toEqual(['[{"n":1}]', '[{"n":2}]']);
  expect(page.posts[0]!.sent_at).toBe(begin + 50);
  expect(page.posts[1]!.sent_at).toBe(begin + 550);
});

test("one batch that always fails does not keep the others", async () => {
  const page = new FakePage();
  page.answer = ({ events }) => (events[0]!.n === 1 ? 0 : undefined);
  page.track(1);
  await vi.advanceTimersByTimeAsync(100);
  page.track(2);
  await vi.advanceTimersByTimeAsync(2 * SECOND);
  page.track(3);
  await vi.advanceTimersByTimeAsync(20 * SECOND);
  expect(page.kept).toHaveLength(1);
});

test("Retry-After is obeyed, by beacons too, and whoever wakes the page", async () => {
  const page = new FakePage();
  page.answer = () => 60 * SECOND;
  page.track(1);
  await vi.advanceTimersByTimeAsync(50);
  page.delivery.leave(false);
  expect(page.beacons).toEqual([]);
  page.delivery.wake();
  await vi.advanceTimersByTimeAsync(59 * SECOND);
  expect(page.posts).toHaveLength(1);
  page.answer = () => undefined;
  await vi.advanceTimersByTimeAsync(2 * SECOND);
  expect(page.posts).toHaveLength(2);
  expect(page.kept).toEqual([]);
});

test("offline nothing is tried, not even a beacon; online all of it", async () => {
  const page = new FakePage();
  page.online = false;
  page.track(1);
  await vi.advanceTimersByTimeAsync(5 * SECOND);
  page.track(2);
  page.delivery.leave(false);
  await vi.advanceTimersByTimeAsync(HOUR);
  expect([...page.posts, ...page.beacons]).toEqual([]);
  page.online = true;
  page.delivery.wake();
  await vi.advanceTimersByTimeAsync(0);
  expect(numbers(page.posts)).toEqual([[1, 2]]);
});

test("online cuts a backoff short", async () => {
  const page = new FakePage();
  page.answer = () => 0;
  page.track(1);
  await vi.advanceTimersByTimeAsync(100 * SECOND);
  const tried = page.posts.length;
  page.answer = () => undefined;
  page.delivery.wake();
  await vi.advanceTimersByTimeAsync(0);
  expect(page.posts).toHaveLength(tried + 1);
  expect(page.kept).toEqual([]);
});

test("a page that is left gives all to beacons once, and keeps it until it is answered", async () => {
  const page = new FakePage();
  page.answer = never;
  page.track(1);
  await vi.advanceTimersByTimeAsync(50);
  page.track(2);
  page.delivery.leave(false); // hidden
  page.delivery.leave(true); // pagehide
  expect(numbers(page.beacons)).toEqual([[1], [2]]);
  expect(page.beacons[0]!.batch_id).toBe(page.posts[0]!.batch_id);
  expect(page.kept).toHaveLength(2);

  const next = new FakePage({}, page.storage);
  next.delivery.adopt();
  await vi.advanceTimersByTimeAsync(0);
  expect(next.posts.map(({ batch_id }) => batch_id)).toEqual(page.beacons.map(({ batch_id }) => batch_id));
  expect(next.kept).toEqual([]);
});

test("what is captured after pagehide goes at once", async () => {
  const page = new FakePage();
  page.delivery.leave(true);
  page.track(1, 2);
  await Promise.resolve();
  expect(numbers(page.beacons)).toEqual([[1, 2]]);
});

test("a hidden page does not wait, and its request outlives it", async () => {
  const page = new FakePage();
  page.hidden = true;
  page.delivery.leave(false);
  page.track(1, 2);
  await Promise.resolve();
  expect(numbers(page.posts)).toEqual([[1, 2]]);
  expect(page.keepalive).toEqual([true]);
});

test("over the quota a batch is split until the rest is too small to matter, and the rest is kept", async () => {
  const page = new FakePage();
  page.online = false;
  const text = "x".repeat(2_900);
  for (let n = 0; n < 40; n++) page.delivery.add(JSON.stringify({ n, text }));
  page.online = true;
  page.delivery.leave(true);
  const sent = page.beacons.flatMap(({ events }) => events.map(({ n }) => n as number));
  expect(page.quota).toBeLessThan(4_096 + 200);
  expect(new Set(sent).size).toBe(sent.length);
  expect(page.posts).toEqual([]); // a keepalive request has the same quota

  const next = new FakePage({ batchEvents: 100, batchBytes: 30_000, queueBytes: 500_000 }, page.storage);
  next.delivery.adopt();
  await vi.advanceTimersByTimeAsync(0);
  const ids = new Map<unknown, Set<string>>();
  for (const { batch_id, events } of [...page.beacons, ...next.posts]) {
    for (const { n } of events) ids.set(n, (ids.get(n) ?? new Set()).add(batch_id));
  }
  expect([...ids.keys()].sort((a, b) => +a! - +b!)).toEqual([...Array(40).keys()]);
  expect([...ids.values()].every((of) => of.size === 1)).toBe(true);
});

test("what was handed over is not split", async () => {
  const page = new FakePage({ batchEvents: 100, batchBytes: 30_000, queueBytes: 500_000 });
  page.answer = never;
  for (let n = 0; n < 9; n++) page.delivery.add(JSON.stringify({ n, text: "x".repeat(2_900) }));
  await vi.advanceTimersByTimeAsync(50);
  page.quota = 20_000;
  page.delivery.leave(true);
  expect(page.beacons).toEqual([]);
  expect(page.kept).toHaveLength(1);
  expect(new Set(page.posts.map(({ batch_id }) => batch_id)).size).toBe(1);
});

test("without beacons a keepalive request takes their place", async () => {
  const page = new FakePage();
  page.quota = 0;
  page.track(1);
  page.delivery.leave(true);
  expect(numbers(page.posts)).toEqual([[1]]);
  expect(page.keepalive).toEqual([true]);
  await vi.advanceTimersByTimeAsync(0);
  expect(page.kept).toEqual([]);
});

test("back from the bfcache the page asks for the answers that it did not get", async () => {
  const page = new FakePage();
  page.track(1);
  page.delivery.leave(true);
  page.delivery.wake();
  page.track(2);
  await vi.advanceTimersByTimeAsync(50);
  expect(page.posts.map(({ batch_id }) => batch_id)).toContain(page.beacons[0]!.batch_id);
  expect(numbers(page.posts)).toEqual([[1], [2]]);
  expect(page.kept).toEqual([]);
});

test("a page that died is succeeded after 20 s, also by one that was there before", async () => {
  const dead = new FakePage();
  dead.online = false;
  dead.track(1);
  await vi.advanceTimersByTimeAsync(0);
  const next = new FakePage({}, dead.storage);
  next.delivery.adopt();
  await vi.advanceTimersByTimeAsync(15 * SECOND);
  expect(next.posts).toEqual([]);
  await vi.advanceTimersByTimeAsync(10 * SECOND);
  expect(numbers(next.posts)).toEqual([[1]]);
});

test("nobody adds to a batch that another page may have by now", async () => {
  const page = new FakePage();
  page.online = false;
  page.track(1);
  await vi.advanceTimersByTimeAsync(10 * SECOND);
  page.track(2);
  await vi.advanceTimersByTimeAsync(0);
  expect(page.kept).toHaveLength(2);
});

test("what was handed over a day ago is given up, what never was is not", async () => {
  const page = new FakePage();
  page.answer = never;
  page.track(1);
  page.delivery.leave(true);
  const slept = new FakePage();
  slept.online = false;
  slept.track(2, 3);
  slept.delivery.leave(true);
  await vi.advanceTimersByTimeAsync(21 * HOUR);

  const next = new FakePage({}, page.storage);
  next.delivery.adopt();
  const other = new FakePage({}, slept.storage);
  other.delivery.adopt();
  await vi.advanceTimersByTimeAsync(0);
  expect([numbers(next.posts), next.delivery.dropped(), next.kept]).toEqual([[], 1, []]);
  expect([numbers(other.posts), other.delivery.dropped(), other.kept]).toEqual([[[2, 3]], 0, []]);
});

test("a page that slept for a day does not send what another one has sent for it", async () => {
  const slept = new FakePage();
  slept.online = false;
  slept.track(1);
  slept.delivery.leave(false);
  const next = new FakePage({}, slept.storage);
  next.delivery.adopt();
  await vi.advanceTimersByTimeAsync(0);
  expect(numbers(next.posts)).toEqual([[1]]);

  await vi.advanceTimersByTimeAsync(30 * HOUR);
  slept.online = true;
  slept.delivery.wake();
  await vi.advanceTimersByTimeAsync(SECOND);
  expect([slept.posts, slept.delivery.dropped()]).toEqual([[], 1]);
});

test("too much at once: the oldest goes, and is counted", async () => {
  const page = new FakePage({ batchEvents: 10, batchBytes: 30_000, queueBytes: 100_100 });
  page.online = false;
  for (let n = 0; n < 10; n++) {
    page.delivery.add(JSON.stringify({ n, text: "x".repeat(25_000) }));
    await vi.advanceTimersByTimeAsync(1);
  }
  expect(page.delivery.dropped()).toBe(6);
  page.online = true;
  page.delivery.wake();
  await vi.advanceTimersByTimeAsync(0);
  expect(numbers(page.posts)).toEqual([[6], [7], [8], [9]]);
});

test("a full storage costs nothing while the page lives", async () => {
  const storage = new FakeStorage();
  storage.setItem = () => { throw new Error("full"); };
  const page = new FakePage({}, storage);
  page.answer = () => 0;
  page.track(1);
  await vi.advanceTimersByTimeAsync(50);
  page.answer = () => undefined;
  await vi.advanceTimersByTimeAsync(SECOND);
  expect(numbers(page.posts)).toEqual([[1], [1]]);
});

test("who opts out in another tab is obeyed in this one", async () => {
  const page = new FakePage();
  page.track(1);
  page.silent = true;
  await vi.advanceTimersByTimeAsync(SECOND);
  page.delivery.leave(true);
  expect([page.posts, page.beacons, page.kept]).toEqual([[], [], []]);
});

test("flush says whether all was answered", async () => {
  const page = new FakePage();
  expect(await page.delivery.flush(SECOND)).toBe(true);
  page.track(1);
  expect(await page.delivery.flush(SECOND)).toBe(true);
  expect(numbers(page.posts)).toEqual([[1]]);
  page.answer = () => 0;
  page.track(2);
  const flushed = page.delivery.flush(SECOND);
  await vi.advanceTimersByTimeAsync(SECOND);
  expect(await flushed).toBe(false);
  page.delivery.stop();
  expect(vi.getTimerCount()).toBe(0);
});
