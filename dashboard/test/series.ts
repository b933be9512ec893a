/** Series for tests: an hour or so of minutes. */

import type { Series, Status } from "../src/live";

export const T0 = Date.parse("2026-07-01T10:00:00Z") / 1000;

/** Minutes from T0 on: `f` final, `p` partial, `r` revised, `.` none; one event more in each. */
export function seriesOf(pattern: string, more: Partial<Series> = {}): Series {
  const status = [...pattern].map((letter): Status => {
    switch (letter) {
      case "f": return "final";
      case "p": return "partial";
      case "r": return "revised";
      default: return "none";
    }
  });
  const time = status.map((_, at) => T0 + at * 60);
  const events = status.map((each, at) => (each === "none" ? 0 : at + 1));
  const zeros = status.map(() => 0);
  return {
    project: "demo", currency: "USD", timezone: "UTC", filter: {}, asOf: (time.at(-1) ?? T0) + 30,
    job: { alive: true, last_beat: T0, log_lost_since: null },
    now: { active_users: 1_204, active_users_error: 9.8, events_per_second: 2.5, revenue_per_hour: 81.5, error_rate: 0.02 },
    time, status,
    columns: { events, page_views: events, clicks: zeros, purchases: zeros, errors: zeros, revenue: events.map((count) => count * 1.5) },
    top: {}, recent: [], ...more,
  };
}
