/**
 * The minutes of the day before, of which there is one request an hour: ranges are whole hours, so
 * that all dashboards ask the same. Without a history store only the last 25 hours can be had.
 */

import { SHOWN } from "./address";
import type { Ask } from "./api";
import { NO_PAST, type Past } from "./compare";
import { queryOf } from "./filters";
import type { Filter, Metric, Status } from "./live";
import { HOUR, MINUTE } from "./minutes";

const AGAIN = 60; // seconds after a failure
const KEPT = 25 * HOUR; // by the hot store

interface Reply {
  time: number[];
  status: (Status | "missing")[];
  series: Partial<Record<Metric, (number | null)[]>>[];
}

export class Yesterday {
  past: Past | null = null; // null: not known yet
  private of = "";
  private from = 0; // what was asked for, epoch seconds
  private to = 0;
  private asking = false;
  private after = 0; // epoch seconds
  private hotOnly = false;

  constructor(private readonly ask: Ask, private readonly changed: () => void) {}

  /** Have the minutes of [from, to] (epoch seconds), of the day before `now`. */
  want(filter: Filter, from: number, to: number, now: number): void {
    const of = queryOf(filter);
    if (of !== this.of) {
      this.of = of;
      this.past = null;
      this.from = this.to = this.after = 0;
      this.asking = false;
    }
    if (this.asking || now < this.after || (from >= this.from && to < this.to)) return;
    const start = Math.floor(from / HOUR) * HOUR;
    const end = Math.ceil(to / HOUR) * HOUR + HOUR;
    void this.load(of, start, end, now);
  }

  /** Another key: what was known is not of it. */
  forget(): void {
    this.of = "";
    this.past = null;
    this.hotOnly = false;
    this.from = this.to = 0;
  }

  private async load(of: string, start: number, end: number, now: number): Promise<void> {
    this.asking = true;
    const kept = Math.ceil((now - KEPT) / MINUTE) * MINUTE;
    const first = this.hotOnly ? Math.max(start, kept) : start;
    const range = `start=${first}&end=${end}`;
    const found = first < end
      ? await this.ask<Reply>(`/v1/metrics?${range}&granularity=1m&metrics=${SHOWN.join()}${of}`)
      : { ok: false as const, code: "", message: "" };
    if (of !== this.of) return;
    this.asking = false;
    if (!found.ok && found.code === "parameter_invalid" && !this.hotOnly && start < kept) {
      this.hotOnly = true; // there is no history store
      await this.load(of, start, end, now);
      return;
    }
    if (found.ok) {
      const { time, status, series } = found.body;
      this.past = { time, status, columns: series[0] ?? {} };
      this.from = start;
      this.to = end;
    } else {
      this.past ??= NO_PAST;
      this.after = now + AGAIN;
    }
    this.changed();
  }
}
