/** The four figures of now, with their last hour and the same time yesterday, as text and points. Pure. */

import type { PastNow } from "./compare";
import { change, estimate, integer, money, percent, rate } from "./format";
import type { Series } from "./live";
import { column, errorShares, type Points, lastHour } from "./minutes";

export const FIGURES = ["users", "events", "revenue", "errors"] as const;
export type FigureName = (typeof FIGURES)[number];

export interface Figure {
  value: string;
  about: string; // what the figure is exactly, for who hovers or focuses it; "" without need
  versus: string; // ▲ 12% on 1,204 yesterday
  words: string; // the same, read aloud
  points: Points; // of the last hour
  at(value: number): string; // a value of the points as text
}

/** Active users of before: yesterday at this time, and of each minute of the last hour. */
export interface PastUsers {
  yesterday: number | null;
  minutes: Points;
}

/** The figures of a series; `past` is of the same time yesterday, null while it is not known yet. */
export function figures(series: Series, users: PastUsers, past: PastNow | null): Record<FigureName, Figure> {
  const { now, currency } = series;
  const inMoney = (value: number) => money(value, currency);
  return {
    users: {
      value: estimate(now.active_users, now.active_users_error),
      about: aboutUsers(series),
      ...(now.active_users === null ? uncounted
        : compared(now.active_users, past && users.yesterday, (value) => estimate(value, 1))),
      points: users.minutes,
      at: (value) => `${estimate(value, 1)} in that minute`,
    },
    events: {
      value: rate(now.events_per_second),
      about: "Mean of the last 30 seconds that are counted.",
      ...compared(now.events_per_second, past && past.events_per_second, rate),
      points: lastHour(series, column(series, "events")),
      at: (value) => `${rate(value / 60)} per second`,
    },
    revenue: {
      value: inMoney(now.revenue_per_hour),
      about: "Of the last 60 minutes, with the minute in progress.",
      ...compared(now.revenue_per_hour, past && past.revenue_per_hour, inMoney),
      points: lastHour(series, column(series, "revenue")),
      at: (value) => `${inMoney(value)} in that minute`,
    },
    errors: {
      value: percent(now.error_rate),
      about: "Errors as a share of all events.",
      ...compared(now.error_rate, past && past.error_rate, percent),
      points: errorShares(series),
      at: (value) => percent(value),
    },
  };
}

const uncounted = { versus: "not with several filters", words: "not counted for several filters together" };

function aboutUsers({ now }: Series): string {
  if (now.active_users === null) return "Not counted for several filters together.";
  const error = now.active_users_error;
  if (error === null || error < 0.5) return `${integer(now.active_users)} users in the last 5 minutes.`;
  return `${integer(now.active_users)} ± ${integer(Math.ceil(error))} users (one standard error) in the last 5 minutes.`;
}

function compared(
  now: number | null, before: number | null, say: (value: number) => string,
): { versus: string; words: string } {
  if (before === null) return { versus: "no data for yesterday", words: "no data for the same time yesterday" };
  const found = change(now, before);
  const was = `${say(before)} yesterday`;
  if (found === null) return { versus: was, words: `${was} at this time` };
  return { versus: `${found.sign} on ${was}`, words: `${found.words} ${was} at this time` };
}
