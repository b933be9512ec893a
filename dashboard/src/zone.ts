/** Times in the project's time zone: as text, and the same wall-clock time a day before. Epoch seconds. */

const CELL = 900; // seconds: no zone changes its offset but at a quarter of an hour
const DAY = 86_400;
const CELLS = 4_000; // offsets that are remembered: six weeks of them

export class Zone {
  readonly name: string;
  private readonly hourMinute: Intl.DateTimeFormat;
  private readonly hourMinuteSecond: Intl.DateTimeFormat;
  private readonly monthDay: Intl.DateTimeFormat;
  private readonly dateTime: Intl.DateTimeFormat;
  private readonly parts: Intl.DateTimeFormat;
  private readonly offsets = new Map<number, number>();

  /** UTC in place of a name that this browser does not know. */
  constructor(name: string) {
    this.name = known(name) ? name : "UTC";
    const format = (options: Intl.DateTimeFormatOptions) =>
      new Intl.DateTimeFormat(undefined, { ...options, timeZone: this.name });
    const time = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" } as const;
    this.hourMinute = format(time);
    this.hourMinuteSecond = format({ ...time, second: "2-digit" });
    this.monthDay = format({ month: "short", day: "numeric" });
    this.dateTime = format({ ...time, year: "numeric", month: "short", day: "numeric" });
    this.parts = new Intl.DateTimeFormat("en-US", {
      timeZone: this.name, hourCycle: "h23",
      year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric", second: "numeric",
    });
  }

  /** hh:mm. */
  clock(at: number): string {
    return this.hourMinute.format(at * 1000);
  }

  clockSeconds(at: number): string {
    return this.hourMinuteSecond.format(at * 1000);
  }

  day(at: number): string {
    return this.monthDay.format(at * 1000);
  }

  date(at: number): string {
    return this.dateTime.format(at * 1000);
  }

  /** How far local clocks are ahead of UTC, in seconds. */
  offset(at: number): number {
    const cell = Math.floor(at / CELL);
    let found = this.offsets.get(cell);
    if (found === undefined) {
      found = this.computed(cell * CELL);
      if (this.offsets.size >= CELLS) this.offsets.clear();
      this.offsets.set(cell, found);
    }
    return found;
  }

  /**
   * When local clocks showed the same time the day before; null when they never did (the hour that
   * is left out in spring). Where they did twice (in autumn), the one with today's offset.
   */
  yesterday(at: number): number | null {
    const today = this.offset(at);
    const local = at + today - DAY;
    for (const offset of [today, this.offset(at - 2 * DAY), this.offset(at - DAY / 2)]) {
      if (this.offset(local - offset) === offset) return local - offset;
    }
    return null;
  }

  /** Times of local clocks that are multiples of `step` (seconds, at most a day) in [from, to]. */
  ticks(from: number, to: number, step: number): number[] {
    const found: number[] = [];
    let local = Math.ceil((from + this.offset(from)) / step) * step;
    for (;;) {
      // The offset there may be another one than here: what was found with one is looked at again.
      let at = local - this.offset(local - this.offset(from));
      at = local - this.offset(at);
      if (at > to) return found;
      const last = found.at(-1);
      if (at >= from && (last === undefined || at > last) && at + this.offset(at) === local) found.push(at);
      local += step;
    }
  }

  private computed(at: number): number {
    const found = new Map(this.parts.formatToParts(at * 1000).map(({ type, value }) => [type, Number(value)]));
    const part = (name: Intl.DateTimeFormatPartTypes) => found.get(name) ?? 0;
    const local = Date.UTC(
      part("year"), part("month") - 1, part("day"), part("hour"), part("minute"), part("second"),
    );
    return local / 1000 - at;
  }
}

function known(name: string): boolean {
  try {
    new Intl.DateTimeFormat(undefined, { timeZone: name });
    return true;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}
