/** What is drawn of the last 24 hours: which minutes are known, complete or in progress. Pure. */

import type { Metric, Series, Status } from "./live";

export const MINUTE = 60;
export const HOUR = 3_600;

export type Values = readonly number[];
export type Gaps = (number | null)[]; // null where nothing is drawn

/** `[time, value]`, gaps left out. */
export type Points = [number, number][];

/** A column, zeros when it was not asked for. */
export function column(series: Series, metric: Metric): Values {
  return series.columns[metric] ?? new Array<number>(series.time.length).fill(0);
}

/** Whether any minute has an event. */
export function hasEvents(series: Series): boolean {
  return column(series, "events").some((count) => count > 0);
}

/** Index of the first minute with data; the length when there is none. */
export function firstKnown(status: readonly Status[]): number {
  const at = status.findIndex((each) => each !== "none");
  return at < 0 ? status.length : at;
}

/** The shorter of the spans (hours, ascending) that shows all there is; else the longest. */
export function fittingHours(series: Series, spans: readonly number[]): number {
  const longest = spans.at(-1) ?? 24;
  const first = firstKnown(series.status);
  if (first === series.time.length) return longest;
  const age = (series.time.at(-1) ?? 0) - (series.time[first] ?? 0);
  return spans.find((hours) => age <= hours * HOUR) ?? longest;
}

/**
 * What a chart draws of a column: `complete` minutes, and those in `progress` with the minute
 * before them, so that the lines meet. Before the first data there is a gap (null); a "none" minute
 * after it is a zero. At the end such a minute is a gap too while it is not over, or when the
 * pipeline is silent: then nobody knows yet.
 */
export function split(series: Series, values: Values): { complete: Gaps; progress: Gaps } {
  const { length } = series.time;
  const complete: Gaps = new Array<number | null>(length).fill(null);
  const progress: Gaps = new Array<number | null>(length).fill(null);
  const end = lastDrawn(series);
  for (let at = firstKnown(series.status); at <= end; at += 1) {
    const status = series.status[at];
    const value = status === "none" ? 0 : (values[at] ?? 0);
    const joins = at > 0 && complete[at - 1] !== null;
    if (status !== "partial") {
      complete[at] = value;
      if (at > 0 && series.status[at - 1] === "partial") progress[at] = value;
    } else {
      progress[at] = value;
      if (joins) progress[at - 1] = complete[at - 1] ?? null;
    }
  }
  return { complete, progress };
}

/** The complete minutes of the last hour of a column. */
export function lastHour(series: Series, values: Values): Points {
  const { complete } = split(series, values);
  const points: Points = [];
  for (let at = Math.max(0, complete.length - 61); at < complete.length; at += 1) {
    const value = complete[at];
    if (value !== null && value !== undefined) points.push([series.time[at] ?? 0, value]);
  }
  return points;
}

/** Errors of each complete minute of the last hour as a share of its events, minutes without left out. */
export function errorShares(series: Series): Points {
  const errors = new Map(lastHour(series, column(series, "errors")));
  return lastHour(series, column(series, "events"))
    .filter(([, count]) => count > 0)
    .map(([time, count]) => [time, (errors.get(time) ?? 0) / count]);
}

function lastDrawn(series: Series): number {
  let at = series.time.length - 1;
  const unsure = (time: number) => !series.job.alive || time + MINUTE > series.asOf;
  while (at >= 0 && series.status[at] === "none" && unsure(series.time[at] ?? 0)) at -= 1;
  return at;
}
