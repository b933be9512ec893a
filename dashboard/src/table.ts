/** The chart and the figures' lines as a table: minutes, or hours when they are many, newest first. */

import { METRIC_NAMES, SHOWN, type View } from "./address";
import { make, setText } from "./dom";
import { full, integer, percent } from "./format";
import type { Metric, Series, Status } from "./live";
import { firstKnown, type Gaps, HOUR, MINUTE, type Points } from "./minutes";
import type { Zone } from "./zone";

const MOST = 6 * HOUR; // that is shown by the minute
const SAID: Record<Status, string> = { none: "", partial: "in progress", final: "complete", revised: "revised" };

export interface Row {
  time: number; // epoch seconds
  values: Record<(typeof SHOWN)[number], number>;
  users: number | null; // of a minute of the last hour
  past: number | null; // of the metric, the day before
  status: Status;
}

export interface Table {
  step: number; // seconds
  rows: Row[]; // newest first
}

/** The rows of the minutes in [from, to], hours by local clocks. Users do not add up to those of an hour. Pure. */
export function tabled(
  series: Series, from: number, to: number, users: Points, past: Gaps | null, zone: Zone,
): Table {
  const step = to - from > MOST ? HOUR : MINUTE;
  const counted = new Map(step === MINUTE ? users : []);
  const rows: Row[] = [];
  for (let at = firstKnown(series.status); at < series.time.length; at += 1) {
    const time = series.time[at] ?? 0;
    if (time < from || time > to) continue;
    const start = step === MINUTE ? time : time - mod(time + zone.offset(time), step);
    let row = rows.at(-1);
    if (row === undefined || row.time !== start) {
      row = { time: start, values: empty(), users: counted.get(time) ?? null, past: null, status: "none" };
      rows.push(row);
    }
    for (const name of SHOWN) row.values[name] += series.columns[name]?.[at] ?? 0;
    const before = past?.[at] ?? null;
    if (before !== null) row.past = (row.past ?? 0) + before;
    row.status = worse(row.status, series.status[at] ?? "none");
  }
  return { step, rows: rows.reverse() };
}

export class TableView {
  constructor(private readonly root: HTMLTableElement) {}

  paint({ step, rows }: Table, metric: View["metric"], compare: boolean, currency: string, zone: Zone): void {
    const titles = [
      step === HOUR ? "Hour" : "Minute", ...SHOWN.map((name) => METRIC_NAMES[name]), "Error rate",
      ...(step === MINUTE ? ["Users"] : []), ...(compare ? [`${METRIC_NAMES[metric]} yesterday`] : []), "Status",
    ];
    this.head(titles);
    const [body] = this.root.tBodies;
    if (body === undefined) return;
    while (body.rows.length > rows.length) body.deleteRow(-1);
    while (body.rows.length < rows.length) body.insertRow();
    rows.forEach((row, at) => {
      const line = body.rows[at];
      if (line === undefined) return;
      line.className = row.status;
      const say = (name: Metric, value: number | null) => full(name, value, currency);
      const { events, errors } = row.values;
      this.line(line, [
        step === HOUR ? `${zone.day(row.time)}, ${zone.clock(row.time)}` : zone.clock(row.time),
        ...SHOWN.map((name) => say(name, row.values[name])), percent(events > 0 ? errors / events : null),
        ...(step === MINUTE ? [integer(row.users)] : []), ...(compare ? [say(metric, row.past)] : []), SAID[row.status],
      ]);
    });
  }

  private head(titles: string[]): void {
    const head = this.root.tHead;
    if (head === null || head.textContent === titles.join("")) return;
    head.replaceChildren();
    const row = make(head, "tr");
    for (const title of titles) make(row, "th", "", title).scope = "col";
  }

  private line(row: HTMLTableRowElement, texts: string[]): void {
    if (row.cells.length !== texts.length) {
      row.replaceChildren();
      make(row, "th").scope = "row";
      while (row.cells.length < texts.length) row.insertCell();
    }
    texts.forEach((text, at) => {
      const cell = row.cells[at];
      if (cell !== undefined) setText(cell, text);
    });
  }
}

/** Of an hour: in progress if any minute is, else revised if any is. */
function worse(a: Status, b: Status): Status {
  const order: Status[] = ["none", "final", "revised", "partial"];
  return order.indexOf(a) >= order.indexOf(b) ? a : b;
}

function empty(): Row["values"] {
  return { events: 0, page_views: 0, clicks: 0, purchases: 0, errors: 0, revenue: 0 };
}

function mod(value: number, by: number): number {
  return ((value % by) + by) % by;
}
