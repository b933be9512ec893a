/** The pages with most events of the last hour, of the raw events: asked for at most once a minute. */

import type { Ask } from "./api";
import { queryOf } from "./filters";
import type { Filter } from "./live";
import { OTHER, type RankRow } from "./ranking";

const EVERY = 60_000; // ms
const LATER = 300_000; // ms, where there are no raw events to ask

interface Answer {
  values: string[];
  events: (number | null)[];
  share?: (number | null)[];
}

export class Pages {
  rows: RankRow[] = [];
  said = ""; // why there are none
  private of = "";
  private next = 0; // ms

  constructor(private readonly ask: Ask, private readonly changed: () => void) {}

  /** Ask again if it is time; `now` in ms. */
  want(filter: Filter, now: number): void {
    const query = `dimension=page&start=-1h&limit=10${queryOf(filter)}`;
    if (query !== this.of) {
      this.of = query;
      this.rows = [];
      this.said = "";
      this.next = 0;
    }
    if (now < this.next) return;
    this.next = now + EVERY;
    void this.load(query);
  }

  /** Another key: what was known is not of it. */
  forget(): void {
    this.of = "";
  }

  private async load(query: string): Promise<void> {
    const found = await this.ask<Answer>(`/v1/breakdown?${query}`);
    if (query !== this.of) return;
    if (found.ok) {
      const { values, events, share } = found.body;
      const named = values.some((value) => value !== OTHER); // else there are only events without a page
      this.rows = named ? values.map((value, at) => ({ value, count: events[at] ?? 0, share: share?.[at] ?? null })) : [];
      this.said = named ? "" : "No pages in the last hour.";
    } else if (found.code === "parameter_invalid") {
      this.next += LATER;
      this.said = "Pages need raw events, which are not kept here.";
    } else if (this.rows.length === 0) {
      this.said = "Pages are not to be had now.";
    }
    this.changed();
  }
}

/** The part of a URL that tells pages of one site apart. */
export function pagePath(url: string): string {
  const path = url.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, "");
  return path === "" ? "/" : path;
}
