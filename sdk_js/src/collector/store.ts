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

export interface Store {
  /** False when it did not fit: then it is in memory only. */
  put(batch: Batch): boolean;
  drop(batch: Batch): void;
  /**
   * When any page first handed it over, 0 when none did. One that is not there any more may have been
   * handed over at any time.
   */
  sent(batch: Batch): number;
  /** What this page may send, of all that is there. */
  adopt(now: number): Adopted;
  clear(): void;
}

export function openStore(area: Storage | undefined, prefix: string): Store {
  const ids = (): string[] =>
    Object.keys(area ?? {})
      .filter((name) => name.startsWith(prefix))
      .map((name) => name.slice(prefix.length))
      .sort();
  const remove = (id: string): void => area?.removeItem(prefix + id);
  /** Throws when it is not there, or not ours. */
  const read = (id: string): Batch => unpack(id, area!.getItem(prefix + id)!);

  return {
    put(batch) {
      try {
        area?.setItem(prefix + batch.id, pack(batch));
        return true;
      } catch {
        return false;
      }
    },
    drop: ({ id }) => remove(id),
    sent(batch) {
      try {
        return area ? read(batch.id).sent : 0;
      } catch {
        return batch.at;
      }
    },
    adopt(now) {
      const found: Adopted = { batches: [], later: false };
      const all = ids();
      for (const id of all) {
        try {
          const batch = read(id);
          // A page that died while it split had not handed over the halves: the whole is in their place.
          if (all.some((whole) => whole !== id && id.startsWith(whole))) remove(id);
          else if (batch.held && now - batch.at < 2 * LEASE) found.later = true;
          else found.batches.push(batch);
        } catch {
          remove(id);
        }
      }
      return found;
    },
    clear: () => ids().forEach(remove),
  };
}
