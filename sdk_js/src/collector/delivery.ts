/**
 * The queue: every event in a batch, every batch sent until it is answered.
 *
 * One request is under way at a time. What is captured meanwhile waits in the open batch, so a slow
 * network makes larger batches and not more requests. A batch is closed when it is first sent, and
 * has the same id and content from then on, here, in the store and in other tabs.
 */

import { add, type Batch, body, changeable, expired, LEASE, newBatch, size, split } from "./batch.js";
import type { Store } from "./store.js";
import type { Transport } from "./transport.js";

const LINGER = 50; // ms that an event waits for others
const FIRST_RETRY = 1_000; // ms, doubled with each
const LAST_RETRY = 120_000;
const WORTH_SPLITTING = 4_096; // bytes
const MAX_BATCHES = 500;

type Timer = ReturnType<typeof setTimeout>;

export interface Limits {
  batchEvents: number;
  batchBytes: number;
  queueBytes: number;
}

export interface Surroundings {
  store: Store;
  transport: Transport;
  limits: Limits;
  silent(): boolean; // nothing may be kept or sent
  online(): boolean;
  hidden(): boolean; // the page may be ended at any time, without a word
}

export class Delivery {
  dropped = 0; // events that were given up
  #queue: Batch[] = [];
  #open: Batch | undefined; // the one of the queue that events go into
  #timer: Timer | undefined;
  #due = Infinity; // when the timer fires
  #busy = false;
  #gone = false; // after `pagehide` no timer fires
  #saving = false;
  #again: Timer | undefined; // of another look at what other pages hold
  #failures = 0;
  #resume = 0; // ms: not before, after a failure
  #told = 0; // ms: not before, as the collector said
  #idle = new Set<() => void>();

  constructor(private readonly around: Surroundings) {}

  add(event: string): void {
    const { batchEvents, batchBytes } = this.around.limits;
    const now = Date.now();
    let open = this.#open;
    if (open && (!changeable(open, now) || open.events.length >= batchEvents || open.bytes + size(event) > batchBytes)) {
      this.around.store.put(open);
      open = undefined;
    }
    if (!open) {
      open = newBatch(now);
      this.#queue.push(open);
      this.#open = open;
      this.#bound();
    }
    add(open, event);
    if (!this.#saving) {
      this.#saving = true;
      queueMicrotask(() => this.#save());
    }
    if (this.#queue.length > 1 || open.events.length >= batchEvents) void this.#pump();
    else this.#arm(LINGER);
  }

  /** The page may be gone after this: everything to the browser, or at least to the store. */
  leave(gone: boolean): void {
    this.#gone ||= gone;
    this.#open = undefined;
    let taken = false;
    const { store, transport } = this.around;
    const offer = (batch: Batch): void => {
      const now = Date.now();
      const whole = changeable(batch, now);
      if (!this.around.online() || now < this.#told || this.#expired(batch)) return this.#release(batch);
      if (transport.beacon(body(batch))) {
        taken = batch.beaconed = true;
        return this.#mark(batch);
      }
      if (whole && batch.events.length > 1 && batch.bytes > WORTH_SPLITTING) {
        const halves = split(batch);
        if (halves.every((half) => store.put(half))) {
          store.drop(batch);
          this.#queue.splice(this.#queue.indexOf(batch), 1, ...halves);
          return halves.forEach(offer);
        }
      }
      // Refused for its quota, which keepalive requests share; or there are no beacons at all.
      if (taken) return this.#release(batch);
      this.#mark(batch);
      batch.beaconed = true;
      void transport.post(body(batch), true).then((wait) => wait ?? this.#finish(batch));
    };
    if (this.around.silent()) this.clear();
    [...this.#queue].forEach((batch) => batch.beaconed || offer(batch));
  }

  /** The page is looked at again, or the network is there: what was failing may work now. */
  wake(): void {
    this.#gone = false;
    this.#resume = this.#told;
    this.#queue.forEach((batch) => (batch.beaconed = false));
    this.adopt();
    void this.#pump();
  }

  /** Take over what other pages have left. */
  adopt(): void {
    if (this.around.silent()) return this.clear();
    const { batches, later } = this.around.store.adopt(Date.now());
    const known = new Set(this.#queue.map((batch) => batch.id));
    this.#queue.unshift(...batches.filter((batch) => !known.has(batch.id)));
    this.#bound();
    if (batches.length) this.#arm(0);
    clearTimeout(this.#again);
    if (later) this.#again = setTimeout(() => this.adopt(), 2 * LEASE);
  }

  /** True when all that was captured is answered, false when that takes longer. */
  flush(timeout: number): Promise<boolean> {
    return new Promise((done) => {
      const settle = (all: boolean) => {
        clearTimeout(timer);
        this.#idle.delete(emptied);
        done(all);
      };
      const emptied = () => settle(true);
      const timer = setTimeout(settle, timeout, false);
      this.#idle.add(emptied);
      void this.#pump();
    });
  }

  /** No more timers. */
  stop(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#again);
    this.#resume = Infinity;
  }

  clear(): void {
    this.#queue = [];
    this.#open = undefined;
    this.around.store.clear();
  }

  async #pump(): Promise<void> {
    clearTimeout(this.#timer);
    this.#due = Infinity;
    if (this.#busy) return;
    this.#busy = true;
    for (let batch; (batch = this.#queue[0]) && Date.now() >= this.#resume && this.around.online(); ) {
      if (this.around.silent()) {
        this.clear();
        break;
      }
      if (this.#expired(batch)) {
        this.#giveUp(batch);
        continue;
      }
      this.#mark(batch);
      const wait = await this.around.transport.post(body(batch), this.around.hidden());
      if (wait === undefined) {
        this.#finish(batch);
        this.#failures = 0;
      } else {
        this.#later(wait);
        if (this.#queue[0] === batch) this.#queue.push(this.#queue.shift()!); // it may be to blame
      }
    }
    this.#busy = false;
    if (!this.#queue.length) this.#idle.forEach((done) => done());
    else if (this.#resume < Infinity && this.around.online()) this.#arm(this.#resume - Date.now());
  }

  /** Exponential backoff with full jitter; after what the answer asks for, if it does. */
  #later(wait: number): void {
    const now = Date.now();
    const jitter = Math.random() * Math.min(LAST_RETRY, FIRST_RETRY * 2 ** this.#failures++);
    if (wait) this.#told = now + wait + Math.random() * FIRST_RETRY;
    this.#resume = Math.max(this.#resume, this.#told, now + jitter);
  }

  #arm(wait: number): void {
    const due = Date.now() + wait;
    if (due >= this.#due) return;
    clearTimeout(this.#timer);
    this.#due = due;
    this.#timer = setTimeout(() => void this.#pump(), wait);
  }

  /** Once in a task, whatever was captured in it. */
  #save(): void {
    this.#saving = false;
    if (this.#open) this.around.store.put(this.#open);
    if (this.#gone) this.leave(true);
    else if (this.around.hidden()) void this.#pump();
  }

  /** It is handed over: stored as such, so that nobody changes it whatever comes. */
  #mark(batch: Batch): void {
    batch.sent ||= Date.now();
    this.#release(batch);
  }

  /** It stays as it is from now on, and other pages may send it. */
  #release(batch: Batch): void {
    if (batch === this.#open) this.#open = undefined;
    batch.held = false;
    this.around.store.put(batch);
  }

  #expired(batch: Batch): boolean {
    const now = Date.now();
    if (!batch.sent && now - batch.at > LEASE) batch.sent = this.around.store.sent(batch);
    return expired(batch, now);
  }

  #finish(batch: Batch): void {
    const place = this.#queue.indexOf(batch);
    if (place >= 0) this.#queue.splice(place, 1);
    this.around.store.drop(batch);
  }

  #giveUp(batch: Batch): void {
    this.dropped += batch.events.length;
    this.#finish(batch);
  }

  #bound(): void {
    const queue = this.#queue;
    let bytes = queue.reduce((sum, batch) => sum + batch.bytes, 0);
    while (queue.length > MAX_BATCHES || bytes > this.around.limits.queueBytes) {
      const oldest = queue.reduce((a, b) => (b.at < a.at ? b : a));
      bytes -= oldest.bytes;
      this.#giveUp(oldest);
    }
  }
}
