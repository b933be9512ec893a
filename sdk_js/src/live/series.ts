/**
 * The last 24 hours as columns, and the merging of messages into them. Pure: a merge returns a new
 * series and leaves the old one, whose columns it shares where nothing has changed.
 */

import { METRICS, type Metric, type Numbers, type RecentEvent, type Series, type Status } from "./types.js";

export const MINUTE = 60; // seconds
export const DAY_MINUTES = 1_440;
export const MAX_RECENT = 200;

type Minutes = Pick<Series, "time" | "status" | "columns">;

/**
 * The series after a message; null when it is a delta and there is nothing to merge it into.
 *
 * A snapshot takes the place of what is held, a delta that of its minutes; minutes that nobody spoke
 * of are "none", and the last is that of the service's time. Of numbers that are older than what is
 * held, as another process may send them, a minute is taken only where it has more events: counts of
 * a minute only grow.
 */
export function merge(held: Series | null, message: Numbers): Series | null {
  const { recent = [], top = {} } = message;
  if (held === null) {
    if (message.type === "delta") return null;
    return { ...heading(message), ...minutesOf(message), top, recent: joined([], recent) };
  }
  const seen = joined(held.recent, recent);
  if (message.as_of < held.asOf) return { ...held, ...changed(held, message, true), recent: seen };
  if (message.type === "snapshot") return { ...heading(message), ...minutesOf(message), top, recent: seen };
  const ranked = message.top === undefined ? held.top : { ...held.top, ...top };
  return { ...heading(message), ...changed(held, message, false), top: ranked, recent: seen };
}

/** Whether both are the same part of the same numbers. */
export function alike(held: Series, message: Numbers): boolean {
  const a = held.filter;
  const b = message.filter;
  return held.project === message.project && a.country === b.country && a.device === b.device && a.category === b.category;
}

function heading({ project, currency, timezone, filter, as_of, job, now }: Numbers) {
  return { project, currency, timezone, filter, asOf: as_of, job, now };
}

function minutesOf(message: Numbers): Minutes {
  const columns: Partial<Record<Metric, readonly number[]>> = {};
  for (const name of METRICS) if (message[name] !== undefined) columns[name] = [];
  return changed({ time: [], status: [], columns }, message, false);
}

/** Minutes with those of a message in their places. */
function changed({ time, status, columns }: Minutes, message: Numbers, older: boolean): Minutes {
  const current = Math.floor(message.as_of / MINUTE) * MINUTE;
  const last = Math.max(time.at(-1) ?? 0, message.time.at(-1) ?? 0, current);
  if (message.time.length === 0 && time.at(-1) === last) return { time, status, columns };
  const oldest = Math.min(time[0] ?? last, message.time[0] ?? last);
  const first = Math.max(oldest, last - (DAY_MINUTES - 1) * MINUTE);
  const length = (last - first) / MINUTE + 1;
  const shift = (first - (time[0] ?? first)) / MINUTE;

  const same = shift === 0 && length === time.length;
  const states = moved<Status>(status, shift, length, "none");
  const counts: Partial<Record<Metric, number[]>> = {};
  const names = METRICS.filter((name) => columns[name] !== undefined);
  for (const name of names) counts[name] = moved(columns[name] ?? [], shift, length, 0);
  message.time.forEach((start, from) => {
    const at = (start - first) / MINUTE;
    if (!(at in states)) return; // over 24 hours old
    if (older && !((message.events?.[from] ?? 0) > (counts.events?.[at] ?? 0))) return;
    states[at] = message.status[from] ?? "none";
    for (const name of names) (counts[name] as number[])[at] = message[name]?.[from] ?? 0;
  });
  return {
    time: same ? time : Array.from({ length }, (_, at) => first + at * MINUTE),
    status: states,
    columns: counts,
  };
}

/** So many values from `shift` on, which may lie before the first; `empty` where there is none. */
function moved<Value>(values: readonly Value[], shift: number, length: number, empty: Value): Value[] {
  const before = new Array<Value>(Math.max(0, -shift)).fill(empty);
  const kept = before.concat(values.slice(Math.max(0, shift), Math.max(0, shift + length)));
  while (kept.length < length) kept.push(empty);
  return kept;
}

/** Events with those that are new, oldest first, none twice. */
function joined(held: readonly RecentEvent[], more: readonly RecentEvent[]): readonly RecentEvent[] {
  const known = new Set(held.map(({ id }) => id));
  const fresh = more.filter(({ id }) => !known.has(id) && known.add(id));
  if (fresh.length === 0) return held;
  return [...held, ...fresh].sort((a, b) => a.at - b.at).slice(-MAX_RECENT);
}
