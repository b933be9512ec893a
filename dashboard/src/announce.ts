/** What is read aloud: at most one text in 30 seconds, always the latest. */

const LEAST = 30_000; // ms between two texts
const NUMBERS = 60_000; // ms between two of numbers, which come by themselves

export class Announcer {
  private last = Number.NEGATIVE_INFINITY; // ms, when something was said
  private numbered = Number.NEGATIVE_INFINITY;
  private waiting: string | null = null;

  constructor(private readonly say: (text: string) => void, private readonly clock: () => number = Date.now) {}

  /** Something has happened: said now, or when there has been silence for long enough. */
  tell(text: string): void {
    this.waiting = text;
    this.tick();
  }

  /** The numbers, now and then; what has happened goes before them. */
  numbers(text: () => string): void {
    const now = this.clock();
    if (this.waiting === null && now - this.last >= LEAST && now - this.numbered >= NUMBERS) {
      this.numbered = now;
      this.tell(text());
    }
  }

  /** Called now and then, so that what waits is said. */
  tick(): void {
    const now = this.clock();
    if (this.waiting === null || now - this.last < LEAST) return;
    const text = this.waiting;
    this.waiting = null;
    this.last = now;
    this.say(text);
  }
}
