/**
 * Batches in localStorage, one key each, until they are answered. All tabs of a site share it.
 *
 * A page takes over what others have let go or cannot change any more. It may take what a living
 * page still sends: both then send the same content under the same id, which is counted once.
 */

import { type Batch, LEASE, pack, unpack } from "./batch.js";

export interface Adopted {
  batches: Batch[]; // oldest first
  later: boolean; // some may still be another page's
}

export class Store {
  constructor(
    private readonly area: Storage | undefined,
    private readonly prefix: string,
  ) {}

  /** False when it did not fit: then it is in memory only. */
  put(batch: Batch): boolean {
    try {
      this.area?.setItem(this.prefix + batch.id, pack(batch));
      return true;
    } catch {
      return false;
    }
  }

  drop(batch: Batch): void {
    this.area?.removeItem(this.prefix + batch.id);
  }

  /**
   * When any page first handed it over, 0 when none did. One that is not there any more may have been
   * handed over at any time.
   */
  sent(batch: Batch): number {
    if (!this.area) return 0;
    try {
      return unpack(batch.id, this.area.getItem(this.prefix + batch.id)!).sent;
    } catch {
      return batch.at;
    }
  }

  /** What this page may send, of all that is there. */
  adopt(now: number): Adopted {
    const found: Adopted = { batches: [], later: false };
    const ids = this.#ids();
    for (const id of ids) {
      const text = this.area?.getItem(this.prefix + id);
      if (!text) continue;
      try {
        const batch = unpack(id, text);
        // A page that died while it split had not handed over the halves: the whole is in their place.
        if (ids.some((whole) => whole !== id && id.startsWith(whole))) this.drop(batch);
        else if (batch.held && now - batch.at < 2 * LEASE) found.later = true;
        else found.batches.push(batch);
      } catch {
        this.area?.removeItem(this.prefix + id); // not ours
      }
    }
    return found;
  }

  clear(): void {
    for (const id of this.#ids()) this.area?.removeItem(this.prefix + id);
  }

  #ids(): string[] {
    return Object.keys(this.area ?? {})
      .filter((name) => name.startsWith(this.prefix))
      .map((name) => name.slice(this.prefix.length))
      .sort();
  }
}
