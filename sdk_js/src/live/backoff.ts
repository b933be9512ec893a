/** How long to wait before the next try: doubled with every failure, and spread. */

const FIRST = 1_000; // ms
const LONGEST = 30_000;

export class Backoff {
  #failures = 0;

  constructor(private readonly random: () => number) {}

  get failed(): boolean {
    return this.#failures > 0;
  }

  /** After a failure, which is counted, in ms; from half of the longest wait to all of it. */
  next(): number {
    const longest = Math.min(LONGEST, FIRST * 2 ** this.#failures);
    this.#failures += 1;
    return longest * (0.5 + this.random() / 2);
  }

  /** All is well: the next failure is the first. */
  reset(): void {
    this.#failures = 0;
  }
}
