/** What the chart shows, in a sentence. Pure. */

import { METRIC_NAMES, type View } from "./address";
import { change, full } from "./format";
import type { Series } from "./live";
import { column, type Gaps, split } from "./minutes";
import type { Zone } from "./zone";

type Shown = View["metric"];

/** Of the minutes of [from, to]; `past` is a column of the day before, where it is compared with. */
export function summary(
  series: Series, metric: Shown, from: number, to: number, past: Gaps | null, zone: Zone,
): string {
  const { complete, progress } = split(series, column(series, metric));
  let total = 0;
  let before = 0;
  let compared: number | null = null; // today's, of the minutes that yesterday has too
  let highest = -1;
  let peak = 0;
  let last: number | null = null;
  series.time.forEach((time, at) => {
    const value = complete[at] ?? progress[at];
    if (time < from || time > to || value === null || value === undefined) return;
    total += value;
    const done = complete[at];
    if (done !== null && done !== undefined) {
      last = done;
      if (done > highest) [highest, peak] = [done, time];
      const was = past?.[at];
      if (was !== null && was !== undefined) [before, compared] = [before + was, (compared ?? 0) + done];
    }
  });
  if (last === null && total === 0) return "No data in this time.";
  const say = (value: number) => full(metric, value, series.currency);
  const name = METRIC_NAMES[metric].toLowerCase();
  const parts = [
    `${say(total)} ${metric === "revenue" ? "of revenue" : name} from ${when(from, to, zone)}`,
  ];
  if (last !== null) parts.push(`most ${say(highest)} at ${zone.clock(peak)}`, `last complete minute ${say(last)}`);
  if (past !== null) {
    const found = change(compared, before);
    const was = `yesterday (${say(before)})`;
    parts.push(compared === null ? "no data for yesterday" : found === null ? was : `${found.words} ${was}`);
  }
  return `${parts.join("; ")}.`;
}

function when(from: number, to: number, zone: Zone): string {
  const days = zone.day(from) !== zone.day(to);
  const start = days ? `${zone.clock(from)} yesterday` : zone.clock(from);
  return `${start} to ${zone.clock(to)}`;
}
