/** The day before, laid over today: by wall-clock time in the project's zone. Pure. */

import type { Metric, Status } from "./live";
import { type Gaps, HOUR, MINUTE } from "./minutes";
import type { Zone } from "./zone";

/** Minutes of the day before, as /v1/metrics answers. */
export interface Past {
  time: readonly number[]; // without gaps
  status: readonly (Status | "missing")[];
  columns: Partial<Record<Metric, readonly (number | null)[]>>;
}

export const NO_PAST: Past = { time: [], status: [], columns: {} };

/** What the figures of now were at the same time of the day before; null: no data. */
export interface PastNow {
  events_per_second: number | null;
  revenue_per_hour: number | null;
  error_rate: number | null;
}

/** The value of one minute; null when there is none. A minute without any event after the first is 0. */
export function pastValue(past: Past, metric: Metric, time: number): number | null {
  const at = Math.round((time - (past.time[0] ?? 0)) / MINUTE);
  const status = past.status[at];
  if (status === undefined || status === "missing" || past.time[at] !== time) return null;
  if (status === "none") return known(past, at) ? 0 : null;
  return past.columns[metric]?.[at] ?? null;
}

/** A column of the day before over today's minutes. */
export function aligned(past: Past, metric: Metric, times: readonly number[], zone: Zone): Gaps {
  return times.map((time) => {
    const before = zone.yesterday(time);
    return before === null ? null : pastValue(past, metric, before);
  });
}

/** The figures of `asOf` a day before, over the same minutes as the service counts them. */
export function pastNow(past: Past, asOf: number, zone: Zone): PastNow {
  const at = zone.yesterday(asOf);
  if (at === null) return { events_per_second: null, revenue_per_hour: null, error_rate: null };
  const minute = Math.floor(at / MINUTE) * MINUTE;
  const events = pastValue(past, "events", minute);
  const errors = sum(past, "errors", minute, 5);
  const of = sum(past, "events", minute, 5);
  return {
    events_per_second: events === null ? null : events / MINUTE,
    revenue_per_hour: sum(past, "revenue", minute, HOUR / MINUTE, (at - minute) / MINUTE),
    error_rate: errors === null || of === null || of === 0 ? null : errors / of,
  };
}

/** Of so many minutes, the last of which counts in part; null when one is not known. */
function sum(past: Past, metric: Metric, last: number, minutes: number, part = 1): number | null {
  let total = 0;
  for (let back = 0; back < minutes; back += 1) {
    const value = pastValue(past, metric, last - back * MINUTE);
    if (value === null) return null;
    total += back === 0 ? value * part : value;
  }
  return total;
}

function known(past: Past, at: number): boolean {
  const first = past.status.findIndex((status) => status !== "none" && status !== "missing");
  return first >= 0 && first < at;
}
