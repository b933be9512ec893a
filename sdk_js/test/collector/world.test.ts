/**
 * Any order of captures, departures, crashes, tabs, outages and lost answers: in the end, when all
 * pages but one are gone and the network is good, each event was counted once.
 */

import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { deliver, type Delivery } from "../../src/collector/delivery.js";
import { openStore } from "../../src/collector/store.js";
import { asStorage, FakeCollector, FakeStorage, random } from "./fakes.js";

const RUNS = 150;
const STEPS = 60;
const QUOTA = 65_536;

class World {
  readonly storage = new FakeStorage();
  readonly collector = new FakeCollector();
  readonly pages: Page[] = [];
  readonly captured: string[] = [];
  online = true;
  trouble = 0.5; // share of requests that go wrong

  constructor(readonly roll: () => number) {}
}

class Page {
  readonly delivery: Delivery;
  alive = true;
  hidden = false;
  #thawed: Promise<void> = Promise.resolve();
  #thaw = () => {};
  #quota = QUOTA;

  constructor(readonly world: World) {
    // A dead page writes nothing.
    const area = new Proxy(world.storage, {
      get: (target, name) =>
        this.alive || (name !== "setItem" && name !== "removeItem") ? Reflect.get(target, name) : () => {},
    });
    this.delivery = deliver({
      store: openStore(asStorage(area), "p:"),
      transport: { post: (text) => this.#post(text), beacon: (text) => this.#beacon(text) },
      batchEvents: 20, batchBytes: 30_000, queueBytes: 10_000_000,
      silent: () => false,
      online: () => world.online,
      hidden: () => this.hidden,
    });
    this.delivery.adopt();
    world.pages.push(this);
  }

  capture(count: number, bytes: number): void {
    for (let n = 0; n < count; n++) {
      const id = `e${this.world.captured.length}`;
      this.world.captured.push(id);
      this.delivery.add(JSON.stringify({ id, text: "x".repeat(bytes) }));
    }
  }

  freeze(): void {
    this.hide();
    this.delivery.leave(true);
    this.#thawed = new Promise((done) => { this.#thaw = done; });
  }

  thaw(): void {
    this.#thaw();
    this.show();
  }

  hide(): void {
    this.hidden = true;
    this.delivery.leave(false);
  }

  show(): void {
    this.hidden = false;
    this.delivery.wake();
  }

  close(): void {
    this.delivery.leave(true);
    this.alive = false;
  }

  async #post(text: string): Promise<number | undefined> {
    const { world } = this;
    await this.#thawed;
    if (!this.alive) return new Promise(() => {});
    await this.#wait(world.roll() * 300);
    const trouble = !world.online || world.roll() < world.trouble;
    if (!trouble) world.collector.receive(text);
    else if (world.roll() < 0.4) {
      world.collector.receive(text); // and the answer is lost
      await this.#wait(world.roll() * 5_000);
    } else if (world.online && world.roll() < 0.5) return 2_000; // 503 with Retry-After
    if (!this.alive) return new Promise(() => {});
    await this.#thawed;
    return trouble ? 0 : undefined;
  }

  #beacon(text: string): boolean {
    const { world } = this;
    if (!this.alive || text.length > this.#quota || world.roll() < 0.05) return false;
    this.#quota -= text.length;
    void this.#wait(world.roll() * 2_000).then(() => {
      this.#quota += text.length;
      if (world.online && world.roll() >= world.trouble) world.collector.receive(text);
    });
    return true;
  }

  #wait(ms: number): Promise<void> {
    return new Promise((done) => setTimeout(done, ms));
  }
}

async function step(world: World): Promise<void> {
  const { roll } = world;
  const living = world.pages.filter(({ alive }) => alive);
  const page = living[Math.floor(roll() * living.length)] ?? new Page(world);
  const actions: [number, () => void][] = [
    [30, () => page.capture(1 + Math.floor(roll() * 5), 100)],
    [3, () => page.capture(30, 2_500)],
    [2, () => page.capture(3, 15_000)],
    [5, () => page.hide()],
    [5, () => page.show()],
    [6, () => { page.close(); new Page(world); }],
    [4, () => { page.capture(1, 100); page.close(); }],
    [4, () => { page.alive = false; }], // killed
    [4, () => { page.freeze(); new Page(world); }],
    [4, () => page.thaw()],
    [3, () => { if (living.length < 4) new Page(world); }],
    [3, () => { world.online = false; }],
    [5, () => { world.online = true; living.forEach((one) => one.delivery.wake()); }],
    [3, () => { world.trouble = roll() < 0.5 ? 0 : roll(); }],
  ];
  let place = roll() * actions.reduce((sum, [weight]) => sum + weight, 0);
  actions.find(([weight]) => (place -= weight) < 0)![1]();
  await Promise.resolve(); // the end of the task
  const pause = roll();
  await vi.advanceTimersByTimeAsync(pause < 0.5 ? roll() * 100 : pause < 0.9 ? roll() * 5_000 : roll() * 300_000);
}

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

test("each event is counted once, whatever happens", async () => {
  let crashes = 0;
  for (let seed = 1; seed <= RUNS; seed++) {
    const roll = random(seed);
    vi.spyOn(Math, "random").mockImplementation(roll);
    const world = new World(roll);
    for (let n = 0; n < STEPS; n++) await step(world);
    crashes += world.pages.filter(({ alive }) => !alive).length;
    world.online = true;
    world.trouble = 0;
    for (const page of world.pages) {
      page.thaw();
      if (page.alive) page.close();
    }
    const last = new Page(world);
    await vi.advanceTimersByTimeAsync(60_000);
    const wrong = world.captured.filter((id) => world.collector.counted.get(id) !== 1);
    expect({ seed, wrong }).toEqual({ seed, wrong: [] });
    expect({ seed, kept: Object.keys(world.storage) }).toEqual({ seed, kept: [] });
    expect(last.delivery.dropped()).toBe(0);
    vi.clearAllTimers();
  }
  expect(crashes).toBeGreaterThan(RUNS);
});
