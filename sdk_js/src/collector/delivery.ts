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

export interface Surroundings {
  store: Store;
  transport: Transport;
  batchEvents: number;
  batchBytes: number;
  queueBytes: number;
  silent(): boolean; // nothing may be kept or sent
  online(): boolean;
  hidden(): boolean; // the page may be ended at any time, without a word
}

export interface Delivery {
  add(event: string): void;
  /** The page may be gone after this: everything to the browser, or at least to the store. */
  leave(gone: boolean): void;
  /** The page is looked at again, or the network is there: what was failing may work now. */
  wake(): void;
  /** Take over what other pages have left. */
  adopt(): void;
  /** True when all that was captured is answered, false when that takes longer. */
  flush(timeout: number): Promise<boolean>;
  clear(): void;
  /** No more timers. */
  stop(): void;
  /** Events that were given up. */
  dropped(): number;
}

export function deliver(around: Surroundings): Delivery {
  const { store, transport, batchEvents, batchBytes, queueBytes, silent, online, hidden } = around;
  let queue: Batch[] = [];
  let open: Batch | undefined; // the one of the queue that events go into
  let timer: Timer | undefined;
  let due = Infinity; // when the timer fires
  let again: Timer | undefined; // of another look at what other pages hold
  let busy = false;
  let gone = false; // after `pagehide` no timer fires
  let saving = false;
  let failures = 0;
  let resume = 0; // ms: not before, after a failure
  let told = 0; // ms: not before, as the collector said
  let dropped = 0;
  const idle = new Set<() => void>();

  function finish(batch: Batch): void {
    queue = queue.filter((other) => other !== batch);
    store.drop(batch);
  }

  function giveUp(batch: Batch): void {
    dropped += batch.events.length;
    finish(batch);
  }

  function bound(): void {
    let bytes = queue.reduce((sum, batch) => sum + batch.bytes, 0);
    while (queue.length > MAX_BATCHES || bytes > queueBytes) {
      const oldest = queue.reduce((a, b) => (b.at < a.at ? b : a));
      bytes -= oldest.bytes;
      giveUp(oldest);
    }
  }

  /** It stays as it is from now on, and other pages may send it. */
  function release(batch: Batch): void {
    if (batch === open) open = undefined;
    batch.held = false;
    store.put(batch);
  }

  /** It is handed over: stored as such, so that nobody changes it whatever comes. */
  function mark(batch: Batch): void {
    batch.sent ||= Date.now();
    release(batch);
  }

  /** Whether it is too late. An old batch may have been handed over by another page. */
  function late(batch: Batch): boolean {
    const now = Date.now();
    if (!batch.sent && now - batch.at > LEASE) batch.sent = store.sent(batch);
    return expired(batch, now);
  }

  function arm(wait: number): void {
    const at = Date.now() + wait;
    if (at >= due) return;
    clearTimeout(timer);
    due = at;
    timer = setTimeout(pump, wait);
  }

  /** Exponential backoff with full jitter; after what the answer asks for, if it does. */
  function backOff(wait: number): void {
    const now = Date.now();
    const jitter = Math.random() * Math.min(LAST_RETRY, FIRST_RETRY * 2 ** failures++);
    if (wait) told = now + wait + Math.random() * FIRST_RETRY;
    resume = Math.max(resume, told, now + jitter);
  }

  async function pump(): Promise<void> {
    clearTimeout(timer);
    due = Infinity;
    if (busy) return;
    busy = true;
    for (let batch; (batch = queue[0]) && Date.now() >= resume && online(); ) {
      if (silent()) clear();
      else if (late(batch)) giveUp(batch);
      else {
        mark(batch);
        const wait = await transport.post(body(batch), hidden());
        if (wait === undefined) {
          finish(batch);
          failures = 0;
        } else {
          backOff(wait);
          if (queue[0] === batch) queue.push(queue.shift()!); // it may be to blame
        }
      }
    }
    busy = false;
    if (!queue.length) idle.forEach((done) => done());
    else if (resume < Infinity && online()) arm(resume - Date.now());
  }

  /** Once in a task, whatever was captured in it. */
  function save(): void {
    saving = false;
    if (open) store.put(open);
    if (gone) leave(true);
    else if (hidden()) pump();
  }

  /** Let a page's last chance take it. `taken`: a beacon was, before it. */
  function offer(batch: Batch, taken: boolean): boolean {
    const whole = changeable(batch, Date.now());
    if (!online() || Date.now() < told || late(batch)) release(batch);
    else if (transport.beacon(body(batch))) {
      batch.beaconed = true;
      mark(batch);
      return true;
    } else if (whole && batch.events.length > 1 && batch.bytes > WORTH_SPLITTING) {
      const halves = split(batch);
      if (halves.every(store.put)) {
        finish(batch);
        queue.push(...halves);
        return halves.reduce((before, half) => offer(half, before), taken);
      }
      release(batch);
    } else if (taken) release(batch); // refused for the quota, which keepalive requests share
    else {
      batch.beaconed = true;
      mark(batch);
      transport.post(body(batch), true).then((wait) => wait ?? finish(batch));
    }
    return taken;
  }

  function leave(forever: boolean): void {
    gone ||= forever;
    open = undefined;
    if (silent()) clear();
    queue.reduce((taken, batch) => (batch.beaconed ? taken : offer(batch, taken)), false);
  }

  function adopt(): void {
    if (silent()) return clear();
    const { batches, later } = store.adopt(Date.now());
    const known = new Set(queue.map(({ id }) => id));
    queue.unshift(...batches.filter(({ id }) => !known.has(id)));
    bound();
    if (queue.length) arm(0);
    clearTimeout(again);
    if (later) again = setTimeout(adopt, 2 * LEASE);
  }

  function clear(): void {
    queue = [];
    open = undefined;
    store.clear();
  }

  return {
    add(event) {
      const now = Date.now();
      if (open && (!changeable(open, now) || open.events.length >= batchEvents || open.bytes + size(event) > batchBytes)) {
        store.put(open);
        open = undefined;
      }
      const target = (open ??= newBatch(now));
      add(target, event);
      if (target.events.length === 1) {
        queue.push(target);
        bound();
      }
      if (!saving) {
        saving = true;
        queueMicrotask(save);
      }
      if (queue.length > 1 || target.events.length >= batchEvents) pump();
      else arm(LINGER);
    },
    leave,
    wake() {
      gone = false;
      resume = told;
      queue.forEach((batch) => (batch.beaconed = false));
      adopt();
    },
    adopt,
    flush: (timeout) =>
      new Promise((done) => {
        const settle = (): void => {
          clearTimeout(limit);
          idle.delete(settle);
          done(!queue.length);
        };
        const limit = setTimeout(settle, timeout);
        idle.add(settle);
        pump();
      }),
    clear,
    stop() {
      clearTimeout(timer);
      clearTimeout(again);
      resume = Infinity;
    },
    dropped: () => dropped,
  };
}
