/** The read key: of a share link, else kept in this tab. */

const NAME = "streamlens.read-key";

/** A share link has its key behind the #, where no server and no log sees it. */
export function sharedKey(hash: string): string | null {
  return new URLSearchParams(hash.replace(/^#/, "")).get("share");
}

export function keptKey(): string | null {
  return storage((kept) => kept.getItem(NAME));
}

export function keepKey(key: string): void {
  storage((kept) => kept.setItem(NAME, key));
}

export function forgetKey(): void {
  storage((kept) => kept.removeItem(NAME));
}

/** Null where pages may keep nothing: then the key is asked for at every visit. */
function storage<T>(use: (kept: Storage) => T): T | null {
  try {
    return use(sessionStorage);
  } catch {
    return null;
  }
}
