/**
 * Active users of before: what they were yesterday at this time, and the users of each minute of the
 * last hour. Asked for every five minutes, at times that all dashboards share; each waits some
 * seconds of its own, so that not all ask at once. Kept for the whole project only.
 */

import type { Ask } from "./api";
import type { PastUsers } from "./figures";
import type { Filter, Status } from "./live";
import { HOUR, MINUTE, type Points } from "./minutes";
import type { Zone } from "./zone";

const EVERY = 5 * MINUTE;
const SPREAD = 45; // seconds
const SETTLED = MINUTE; // seconds until a minute's users are counted

interface Reply {
  time: number[];
  status: (Status | "missing")[];
  series: { unique_users: (number | null)[] | null }[];
}

export class Users implements PastUsers {
  yesterday: number | null = null;
  minutes: Points = [];
  private of = 0; // the five minutes that it was asked for
  private readonly wait = Math.random() * SPREAD;

  constructor(private readonly ask: Ask, private readonly changed: () => void) {}

  /** Ask if it is time; `now` in epoch seconds. */
  want(filter: Filter, now: number, zone: Zone): void {
    if (Object.keys(filter).length > 0) {
      this.forget();
      return;
    }
    const late = this.of === 0 ? 0 : this.wait;
    const at = Math.floor((now - SETTLED - late) / EVERY) * EVERY;
    if (at <= this.of) return;
    this.of = at;
    void this.load(at, zone.yesterday(Math.floor(now / EVERY) * EVERY));
  }

  forget(): void {
    this.of = 0;
    this.yesterday = null;
    this.minutes = [];
  }

  private async load(at: number, before: number | null): Promise<void> {
    const query = "/v1/metrics?metrics=unique_users";
    // The five minutes that now is in: those before may be in the cold store, which has hours only.
    const [hour, five] = await Promise.all([
      this.ask<Reply>(`${query}&granularity=1m&start=${at - HOUR}&end=${at}`),
      before === null ? null : this.ask<Reply>(`${query}&granularity=total&start=${before}&end=${before + EVERY}`),
    ]);
    if (at !== this.of) return;
    if (hour.ok) this.minutes = points(hour.body);
    // No sketch and no events are told apart by the status: 0 users is a figure, null is none.
    this.yesterday = five?.ok === true && five.body.status[0] !== "none" ? (five.body.series[0]?.unique_users?.[0] ?? null) : null;
    this.changed();
  }
}

function points({ time, status, series }: Reply): Points {
  const users = series[0]?.unique_users ?? [];
  return time.flatMap((each, at): Points => {
    const count = users?.[at];
    const complete = status[at] === "final" || status[at] === "revised";
    return complete && typeof count === "number" ? [[each, count]] : [];
  });
}
