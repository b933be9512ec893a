/** Which transport is taken: the best that gets through. */

import { openEvents } from "./events.js";
import type { Open } from "./link.js";
import { openPolling } from "./polling.js";
import { openSocket } from "./socket.js";
import type { Transport } from "./types.js";

const BLOCKED = 2; // times in a row that nothing came through, and the next one is taken
const BETTER_AFTER = 180_000; // ms by a lesser one until the better ones are tried again

export const OPEN: Readonly<Record<Transport, Open>> = { websocket: openSocket, sse: openEvents, polling: openPolling };
const ORDER = Object.keys(OPEN) as Transport[]; // the best first

/** Of a rank, from 0; what comes after the last is the last. */
export function transportOf(rank: number): Transport {
  return ORDER[rank] ?? "polling";
}

export class Ladder {
  rank = 0;
  #blocked = 0; // times in a row
  #better = 0; // when better ones are tried again, ms

  /** The best again, as of another network. */
  reset(): void {
    this.rank = this.#blocked = 0;
  }

  /** A message came by a transport, which is taken from now on. */
  through(rank: number, now: number): void {
    this.#blocked = 0;
    if (rank !== this.rank) this.#take(rank, now);
  }

  /** Nothing came through. Whether that makes another one the right one. */
  blocked(now: number): boolean {
    this.#blocked += 1;
    if (this.#blocked < BLOCKED || this.rank === ORDER.length - 1) return false;
    this.#blocked = 0;
    this.#take(this.rank + 1, now);
    return true;
  }

  /** Whether better ones are to be tried again. */
  due(now: number): boolean {
    return this.rank > 0 && now >= this.#better;
  }

  /** They were, and none got through. */
  postpone(now: number): void {
    this.#better = now + BETTER_AFTER;
  }

  #take(rank: number, now: number): void {
    this.rank = rank;
    this.postpone(now);
  }
}
