/** One connection by one of the transports, from its making to its end. */

import { OPEN, transportOf } from "./ladder.js";
import type { Line, Link } from "./link.js";
import type { Announcement } from "./types.js";

const STALE_AFTER = 15_000; // ms without a message, or twice the time that the service announced
const DEAD_AFTER = 40_000; // ms, or four times

export class Attempt {
  heard: number; // when the last message came, or it was opened; ms
  reached = false; // whether any came
  surely = true; // what comes answers to the first question, not to one before
  owing = false; // it was asked for a snapshot, which has not come yet
  every = 0; // ms from message to message, when the service announced that it is slow
  leaving: number | null = null; // ms within which all come back, when it announced its end
  #link: Link | null = null;

  constructor(
    readonly rank: number, // of its transport
    readonly opened: number, // ms
  ) {
    this.heard = opened;
  }

  /** Connect; not in the constructor, since what is heard of it names it. */
  open(line: Line): void {
    this.#link = OPEN[transportOf(this.rank)](line);
  }

  /** Put the question anew; false: that takes another connection. */
  ask(): boolean {
    this.surely = false;
    return this.#link?.ask() === true;
  }

  close(): void {
    this.#link?.close();
  }

  /** A slower pace, the usual one again, or the end. */
  announced(message: Announcement): void {
    if (message.reason === "leaving") this.leaving = message.reconnect_within_seconds * 1_000;
    else this.every = message.reason === "degraded" ? message.refresh_seconds * 1_000 : 0;
  }

  /** What so many ms without a message mean. A first one that does not come is the link's matter. */
  after(silence: number): "alive" | "stale" | "dead" {
    if (silence > Math.max(DEAD_AFTER, 4 * this.every)) return "dead";
    return this.reached && silence > Math.max(STALE_AFTER, 2 * this.every) ? "stale" : "alive";
  }
}
