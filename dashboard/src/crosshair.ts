/** The minute that is looked at, shared by all that draw time. */

type Listener = (time: number | null, by: object | null) => void;

export class Crosshair {
  time: number | null = null; // epoch seconds
  private readonly listeners: Listener[] = [];

  /** Told of every other minute, and by whom it was set. */
  follow(listener: Listener): void {
    this.listeners.push(listener);
  }

  set(time: number | null, by: object | null): void {
    if (time === this.time) return;
    this.time = time;
    for (const listener of this.listeners) listener(time, by);
  }
}
