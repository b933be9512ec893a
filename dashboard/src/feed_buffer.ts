/** What of the live events is shown: all as they come, or, paused, those of then. Pure. */

import type { RecentEvent } from "./live";

const MOST = 100; // that are shown, and that are counted one by one while paused

export class FeedBuffer {
  shown: readonly RecentEvent[] = []; // newest first
  paused = false;
  private latest: readonly RecentEvent[] = []; // oldest first, as the series has them
  private counted: string | null = null; // id of the last that is shown or counted as new
  private news = 0;

  /** The events of a series, oldest first; each comes again until there are enough newer ones. */
  take(recent: readonly RecentEvent[]): void {
    if (recent === this.latest) return;
    this.latest = recent;
    const known = recent.findLastIndex(({ id }) => id === this.counted);
    if (this.paused) this.news += recent.length - 1 - known;
    this.counted = recent.at(-1)?.id ?? this.counted;
    if (!this.paused) this.show();
  }

  pause(): void {
    this.paused = true;
    this.news = 0;
  }

  resume(): void {
    this.paused = false;
    this.news = 0;
    this.show();
  }

  /** Another subscription: nothing of the last one is of it. */
  clear(): void {
    this.latest = [];
    this.counted = null;
    this.news = 0;
    this.show();
  }

  /** "12 new" while it is paused; "" when there is nothing new. */
  get waiting(): string {
    if (this.news === 0) return "";
    return this.news > MOST ? `${MOST}+ new` : `${this.news} new`;
  }

  private show(): void {
    this.shown = this.latest.slice(-MOST).reverse();
  }
}

/** Which events one asks for: all or the rejected, of one page or of any. */
export interface Wanted {
  rejected: boolean;
  page: string | null;
}

export function wanted(events: readonly RecentEvent[], { rejected, page }: Wanted): RecentEvent[] {
  return events.filter((event) => {
    if (rejected) return !event.accepted;
    return page === null || (event.accepted && event.url === beforeQuery(page));
  });
}

/** Of a URL that much is in the events; pages are counted with their queries. */
function beforeQuery(url: string): string {
  return url.replace(/[?#].*$/, "");
}
