/** What is looked at stands in the address, so that a view can be kept and passed on. Pure. */

import { readFilter } from "./filters";
import { DIMENSIONS, type Filter, type Metric } from "./live";

export const SHOWN = ["events", "page_views", "clicks", "purchases", "errors", "revenue"] as const satisfies readonly Metric[];
export const SPANS = [1, 6, 24] as const; // hours

export const METRIC_NAMES: Record<(typeof SHOWN)[number], string> = {
  events: "Events", page_views: "Page views", clicks: "Clicks", purchases: "Purchases", errors: "Errors", revenue: "Revenue",
};

export interface View {
  filter: Filter;
  metric: (typeof SHOWN)[number];
  hours: number | null; // null: as many as there is data for
  compare: boolean;
  tv: boolean | null; // null: by the size of the screen
}

export function readAddress(search: string): View {
  const query = new URLSearchParams(search);
  const hours = Number(query.get("hours"));
  const tv = query.get("tv");
  return {
    filter: readFilter(query),
    metric: SHOWN.find((name) => name === query.get("metric")) ?? "events",
    hours: SPANS.find((each) => each === hours) ?? null,
    compare: query.get("compare") === "yesterday",
    tv: tv === null ? null : tv !== "0",
  };
}

/** "" or "?…"; what a key has fixed is not said. */
export function writeAddress(view: View, fixed: Filter): string {
  const query = new URLSearchParams();
  for (const name of DIMENSIONS) {
    const value = view.filter[name];
    if (value !== undefined && fixed[name] === undefined) query.set(name, value);
  }
  if (view.metric !== "events") query.set("metric", view.metric);
  if (view.hours !== null) query.set("hours", String(view.hours));
  if (view.compare) query.set("compare", "yesterday");
  if (view.tv !== null) query.set("tv", view.tv ? "1" : "0");
  const text = String(query);
  return text === "" ? "" : `?${text}`;
}
