/** The wish, and the numbers that are held of it. */

import { alike, merge } from "./series.js";
import type { Numbers, Series, Wish } from "./types.js";
import { answers, learnt, orderOf, type Fixed, type Order, type Question } from "./wish.js";

/** What became of numbers: a series, nothing as they are of another wish, or a snapshot is missing. */
export type Outcome = Series | "other" | "groundless";

export class Held {
  series: Series | null = null;
  #order: Order;
  #fixed: Fixed = {};

  constructor(wish: Wish) {
    this.#order = orderOf(wish);
  }

  /** Want something else; false: it is the same. */
  want(wish: Wish): boolean {
    const order = orderOf(wish);
    if (JSON.stringify(order) === JSON.stringify(this.#order)) return false;
    this.#order = order;
    this.series = null;
    return true;
  }

  question(): Question {
    return { order: this.#order, since: this.series?.asOf ?? null };
  }

  /** `surely`: the message answers to what is wanted now, and not to what was before. */
  accept(message: Numbers, surely: boolean): Outcome {
    if (surely) this.#fixed = learnt(message, this.#order, this.#fixed);
    if (!answers(message, this.#order, this.#fixed)) return "other";
    const base = this.series !== null && alike(this.series, message) ? this.series : null;
    this.series = merge(base, message);
    return this.series ?? "groundless";
  }
}
