/** A browser's storage, and a collector that remembers batch ids as the real one does. */

export class FakeStorage {
  [name: string]: unknown;

  getItem(name: string): string | null {
    return Object.hasOwn(this, name) ? (this[name] as string) : null;
  }

  setItem(name: string, value: string): void {
    this[name] = String(value);
  }

  removeItem(name: string): void {
    delete this[name];
  }
}

export const asStorage = (fake: object): Storage => fake as unknown as Storage;

export interface Body {
  batch_id: string;
  sent_at: number;
  events: { id: string; [name: string]: unknown }[];
}

const DAY = 86_400_000;

export class FakeCollector {
  readonly counted = new Map<string, number>(); // by event id
  readonly bodies: Body[] = [];
  readonly #batches = new Map<string, { at: number; content: string }>();

  receive(text: string): void {
    const body = JSON.parse(text) as Body;
    this.bodies.push(body);
    const content = JSON.stringify(body.events);
    const known = this.#batches.get(body.batch_id);
    if (known && known.content !== content) throw new Error(`two contents of ${body.batch_id}`);
    if (known && Date.now() - known.at < DAY) return;
    this.#batches.set(body.batch_id, { at: Date.now(), content });
    for (const { id } of body.events) this.counted.set(id, (this.counted.get(id) ?? 0) + 1);
  }
}

/** Numbers in [0, 1) that a seed repeats (mulberry32). */
export function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
