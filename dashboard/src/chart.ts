/** The chart of up to 24 hours: uPlot with one metric, its minutes in progress dashed. */

import uPlot from "uplot";

import { METRIC_NAMES, type View } from "./address";
import { type Brush, stroke } from "./brush";
import type { Crosshair } from "./crosshair";
import { brief, change, full } from "./format";
import type { Series, Status } from "./live";
import { column, firstKnown, type Gaps, HOUR, MINUTE, split } from "./minutes";
import { type Look, readLook, size } from "./look";
import type { Zone } from "./zone";

const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 180, 240, 360].map((minutes) => minutes * MINUTE);
const WORDS: Record<Status, string> = { none: "", partial: "in progress", final: "", revised: "revised" };
const LEAST = 2 * MINUTE; // that can be zoomed into
const LEAST_TOP = 4; // of the axis: no half events
const DRAG = 8; // pixels that are no click any more

/** What is drawn: `past` is the metric's column of the day before over the same minutes, if wanted. */
export interface Drawn {
  series: Series;
  metric: View["metric"];
  hours: number;
  past: Gaps | null;
  zone: Zone;
}

export class Chart {
  zoom: { from: number; to: number } | null = null; // epoch seconds; null: the newest hours
  private drawn: Drawn | null = null;
  private plot: uPlot | null = null;
  private brush: Brush | null = null;
  private look: Look;

  /** `changed` is called when other minutes are shown. */
  constructor(
    private readonly root: HTMLElement, private readonly readout: HTMLElement,
    private readonly crosshair: Crosshair, private readonly changed: () => void,
  ) {
    this.look = readLook(root);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
    new ResizeObserver(() => this.plot?.setSize(size(root))).observe(root);
    root.addEventListener("keydown", (event) => this.key(event));
    root.addEventListener("blur", () => {
      if (this.brush !== null) this.letGo();
    });
    crosshair.follow((time, by) => {
      if (by !== this) this.point(time);
      this.readOut();
    });
  }

  /** The minutes that are shown: from, to in epoch seconds. */
  window(series: Series, hours: number): [number, number] {
    if (this.zoom !== null) return [this.zoom.from, this.zoom.to];
    const end = series.time.at(-1) ?? Math.floor(series.asOf / MINUTE) * MINUTE;
    return [Math.max(end - hours * HOUR, series.time[0] ?? 0), end];
  }

  paint(drawn: Drawn): void {
    const { series, metric, past } = drawn;
    this.drawn = drawn;
    this.look = readLook(this.root); // it also says whether the values are current
    const { complete, progress } = split(series, column(series, metric));
    const nothing: Gaps = series.time.map(() => null);
    const data: uPlot.AlignedData = [[...series.time], complete, progress, past ?? nothing];
    if (this.plot === null) this.plot = new uPlot(this.options(), data, this.root);
    else this.plot.setData(data);
    this.describe();
    this.readOut();
  }

  /** Zoom into minutes (null: back to the newest). */
  show(zoom: { from: number; to: number } | null): void {
    if (zoom === null && this.zoom === null && this.brush === null) return;
    this.zoom = zoom;
    this.letGo();
    this.changed();
  }

  /** Whether a selection or a zoom was there to be let go. */
  clear(): boolean {
    const had = this.zoom !== null || this.brush !== null;
    this.show(null);
    return had;
  }

  /** Sizes of letters have changed. */
  rebuild(): void {
    this.plot?.destroy();
    this.plot = null;
    this.changed();
  }

  private options(): uPlot.Options {
    const { look } = this;
    const accent = () => this.look.accent;
    const axis = { stroke: () => this.look.muted, font: look.font };
    const points: uPlot.Series.Points = { show: true, size: look.em * 0.4, fill: accent, width: 0, filter: alone };
    return {
      ...size(this.root),
      legend: { show: false },
      padding: [look.em * 0.7, look.em * 1.5, 0, 0],
      cursor: {
        y: false,
        points: { size: look.em * 0.6, width: 2, fill: () => this.look.panel, stroke: accent },
        drag: { x: true, y: false, setScale: false, dist: DRAG },
        bind: { dblclick: () => () => { this.show(null); return null; } },
      },
      scales: {
        x: { time: true, range: () => this.range() },
        y: { range: (_plot, _min, max) => [0, Math.max(max * 1.08, LEAST_TOP)] },
      },
      axes: [
        {
          ...axis, size: look.em * 2.3, gap: look.em * 0.5, space: look.em * 5.4, incrs: STEPS,
          splits: (_plot, _axis, min, max, step) => this.drawn?.zone.ticks(min, max, step) ?? [],
          values: (_plot, at) => at.map((time) => this.hour(time)),
          grid: { show: false },
          ticks: { show: true, size: 4, stroke: () => this.look.line, width: 1 },
        },
        {
          ...axis, size: look.em * 4.4, gap: look.em * 0.6, space: look.em * 3.6,
          values: (_plot, at) => at.map((value) => this.brief(value)),
          ticks: { show: false },
          grid: { stroke: () => this.look.grid, width: 1 },
        },
      ],
      series: [
        {},
        { stroke: accent, width: look.width, fill: () => this.look.wash, points },
        { stroke: accent, width: look.width, dash: [3, 3], points },
        { stroke: () => this.look.past, width: 1, points: { show: false } }, // last: the area would hide it
      ],
      hooks: {
        setCursor: [(plot) => {
          const { idx, left } = plot.cursor;
          const at = idx === null || idx === undefined || left === undefined || left < 0 ? null : plot.data[0][idx];
          this.crosshair.set(at ?? null, this);
        }],
        setSelect: [(plot) => {
          const { left, width } = plot.select;
          if (width < DRAG) return;
          this.zoomTo(plot.posToVal(left, "x"), plot.posToVal(left + width, "x"));
        }],
        draw: [(plot) => this.drawRevised(plot)],
      },
    };
  }

  private range(): [number, number] {
    if (this.drawn === null) return [0, 1];
    return this.window(this.drawn.series, this.drawn.hours);
  }

  private zoomTo(from: number, to: number): void {
    const round = (time: number) => Math.round(time / MINUTE) * MINUTE;
    const [start, end] = [round(from), round(to)];
    const missing = Math.max(0, LEAST - (end - start));
    this.show({ from: start - missing, to: end });
  }

  /** A tick at the foot for each minute that late events changed. */
  private drawRevised(plot: uPlot): void {
    if (this.drawn === null) return;
    const { time, status } = this.drawn.series;
    const { ctx, bbox } = plot;
    const [from, to] = this.range();
    const foot = bbox.top + bbox.height;
    ctx.save();
    ctx.strokeStyle = this.look.text;
    ctx.lineWidth = uPlot.pxRatio;
    ctx.setLineDash([]);
    ctx.beginPath();
    status.forEach((each, at) => {
      const when = time[at] ?? 0;
      if (each !== "revised" || when < from || when > to) return;
      const x = Math.round(plot.valToPos(when, "x", true)) + 0.5;
      ctx.moveTo(x, foot);
      ctx.lineTo(x, foot - this.look.em * 0.5 * uPlot.pxRatio);
    });
    ctx.stroke();
    ctx.restore();
  }

  private key(event: KeyboardEvent): void {
    if (this.plot === null || this.drawn === null || event.ctrlKey || event.metaKey || event.altKey) return;
    const { time, status } = this.drawn.series;
    const [from, to] = this.range();
    const first = Math.max(from, time[firstKnown(status)] ?? to);
    const done = stroke(this.brush, event.key, event.shiftKey, Math.ceil(first / MINUTE), Math.floor(to / MINUTE));
    if (done.kind === "none") return;
    event.preventDefault();
    if (done.kind === "zoom") {
      this.zoomTo(done.from * MINUTE, done.to * MINUTE);
      return;
    }
    this.brush = done.brush;
    const { at, anchor } = done.brush;
    const left = this.point(at * MINUTE);
    this.crosshair.set(at * MINUTE, this);
    const begin = anchor === null ? left : this.plot.valToPos(anchor * MINUTE, "x");
    const height = this.plot.over.clientHeight;
    this.plot.setSelect(
      { left: Math.min(left, begin), width: Math.abs(left - begin), top: 0, height: anchor === null ? 0 : height }, false,
    );
  }

  /** No selection, no crosshair. */
  private letGo(): void {
    this.brush = null;
    this.plot?.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.point(null);
    this.crosshair.set(null, this);
  }

  /** Put the cursor on a minute; where that is, in pixels. */
  private point(time: number | null): number {
    if (this.plot === null) return 0;
    const left = time === null ? -10 : this.plot.valToPos(time, "x");
    this.plot.setCursor({ left, top: time === null ? -10 : 1 }, false);
    return left;
  }

  /** The line above the chart: the minute under the crosshair, else the newest complete one. */
  private readOut(): void {
    if (this.plot === null || this.drawn === null) return;
    const { series, metric, past, zone } = this.drawn;
    const { time: crosshair } = this.crosshair;
    const at = crosshair === null ? this.plot.data[1]?.findLastIndex((value) => value !== null) ?? -1
      : series.time.indexOf(crosshair);
    const time = series.time[at];
    if (time === undefined) {
      this.readout.replaceChildren();
      return;
    }
    const value = column(series, metric)[at] ?? 0;
    const strong = document.createElement("b");
    strong.textContent = full(metric, value, series.currency);
    const status = series.status[at] ?? "none";
    const parts = [WORDS[status], past === null ? "" : this.versus(value, past[at] ?? null, status)].filter(Boolean);
    const tail = `per minute${parts.map((part) => ` · ${part}`).join("")}`;
    this.readout.replaceChildren(`${zone.clock(time)}\u2002`, strong, ` ${tail}`);
    this.root.setAttribute("aria-valuetext", `${zone.clock(time)}: ${strong.textContent} ${tail}`);
    this.root.setAttribute("aria-valuenow", String(at));
  }

  private versus(value: number, before: number | null, status: Status): string {
    if (before === null || this.drawn === null) return "no data for yesterday";
    const was = `${full(this.drawn.metric, before, this.drawn.series.currency)} yesterday`;
    const found = status === "partial" ? null : change(value, before); // half a minute is no comparison
    return found === null ? was : `${found.sign} on ${was}`;
  }

  /** What it is, for those who do not see it. What it shows, the summary says. */
  private describe(): void {
    const { series, metric, hours } = this.drawn ?? {};
    if (series === undefined || metric === undefined) return;
    const span = this.zoom !== null ? "selected time" : hours === 1 ? "last hour" : `last ${hours} hours`;
    const text = `${METRIC_NAMES[metric]} per minute, ${span}`;
    const what = document.getElementById("chart-what");
    if (what !== null && what.textContent !== text) what.textContent = text;
    this.root.setAttribute("aria-valuemin", "0");
    this.root.setAttribute("aria-valuemax", String(series.time.length - 1));
  }

  private hour(time: number): string {
    const zone = this.drawn?.zone;
    if (zone === undefined) return "";
    const text = zone.clock(time);
    return text === "00:00" ? zone.day(time) : text;
  }

  private brief(value: number): string {
    return this.drawn === null ? "" : brief(this.drawn.metric, value, this.drawn.series.currency);
  }
}

/** Points that no line goes to, as the very first minute: without a dot they would not be seen. */
function alone(plot: uPlot, series: number, _show: boolean): number[] {
  const values = plot.data[series] ?? [];
  const found: number[] = [];
  for (let at = 0; at < values.length; at += 1) {
    if (values[at] !== null && (values[at - 1] ?? null) === null && (values[at + 1] ?? null) === null) found.push(at);
  }
  return found;
}
