/** Messages as the service says them, for tests. */

import { METRICS, type Metric, type Numbers, type Status } from "../../src/live/types.js";

export const MINUTE = 60;
export const START = 28_333_333 * MINUTE; // epoch seconds, a whole minute

export const USUAL: Metric[] = METRICS.filter((name) => name !== "bots");

export interface Minute {
  start: number;
  status: Status;
  count: number; // what its columns are made of
}

/** A message with these minutes; each of its columns has another multiple of their counts. */
export function numbers(
  type: Numbers["type"],
  asOf: number,
  minutes: readonly Minute[],
  more: Partial<Numbers> = {},
  metrics: readonly Metric[] = USUAL,
): Numbers {
  const message: Numbers = {
    type,
    seq: 1,
    project: "demo",
    currency: "EUR",
    timezone: "Europe/Berlin",
    filter: {},
    as_of: asOf,
    job: { alive: true, last_beat: Math.floor(asOf), log_lost_since: null },
    time: minutes.map(({ start }) => start),
    status: minutes.map(({ status }) => status),
    now: { active_users: 1, active_users_error: 0.1, events_per_second: asOf, revenue_per_hour: 0, error_rate: 0 },
    ...more,
  };
  metrics.forEach((name, at) => {
    message[name] = minutes.map(({ count }) => count * (at + 1));
  });
  return message;
}

/** All minutes of a day up to this time, as a snapshot has them; `counts` by minute. */
export function day(asOf: number, counts: ReadonlyMap<number, number>, length = 1_440): Minute[] {
  const last = Math.floor(asOf / MINUTE) * MINUTE;
  return Array.from({ length }, (_, at) => {
    const start = last - (length - 1 - at) * MINUTE;
    const count = counts.get(start) ?? 0;
    return { start, status: count === 0 ? "none" : start === last ? "partial" : "final", count };
  });
}

/** Numbers from 0, below 1, the same for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
