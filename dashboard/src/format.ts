/** Numbers, money and names as text. Formatters are made once: making one is the slow part. */

import type { Dimension, Metric } from "./live";

export const DASH = "–";
const whole = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat(undefined, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const compact = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 1 });
const threeDigits = new Intl.NumberFormat(undefined, { notation: "compact", maximumSignificantDigits: 3 });
const percentage = new Intl.NumberFormat(undefined, {
  style: "percent", minimumFractionDigits: 2, maximumFractionDigits: 2,
});
const wholePercent = new Intl.NumberFormat(undefined, { style: "percent", maximumFractionDigits: 0 });
const regions = new Intl.DisplayNames(undefined, { type: "region", fallback: "none" });
const moneyFormats = new Map<string, Intl.NumberFormat>();

const ROUGH = 10_000; // users from which on an estimate is shown with three digits
const NO_CENTS = 10_000;

type Maybe = number | null | undefined;

function known(value: Maybe): value is number {
  return typeof value === "number" && Number.isFinite(value);
}

export function integer(value: Maybe): string {
  return known(value) ? whole.format(value) : DASH;
}

/** A rate: one decimal while it is small enough for that to mean something. */
export function rate(value: Maybe): string {
  if (!known(value)) return DASH;
  return (value < 1000 ? tenths : whole).format(value);
}

export function short(value: Maybe): string {
  return known(value) ? compact.format(value) : DASH;
}

export function percent(value: Maybe): string {
  return known(value) ? percentage.format(value) : DASH;
}

/** A share of a whole. */
export function share(value: Maybe): string {
  if (!known(value)) return DASH;
  return value > 0 && value < 0.005 ? `<${wholePercent.format(0.01)}` : wholePercent.format(value);
}

/** An estimated number of users: "~" says so, and it has no more digits than it means. */
export function estimate(value: Maybe, error: Maybe): string {
  if (!known(value)) return DASH;
  const text = (value < ROUGH ? whole : threeDigits).format(value);
  return known(error) && error >= 0.5 ? `~${text}` : text;
}

/** Money; above 10,000 the cents are noise and left out. */
export function money(value: Maybe, currency: string): string {
  if (!known(value)) return DASH;
  return moneyFormat(currency, Math.abs(value) < NO_CENTS ? "cents" : "whole").format(value);
}

export function shortMoney(value: Maybe, currency: string): string {
  return known(value) ? moneyFormat(currency, "compact").format(value) : DASH;
}

/** A value of a metric, in full. */
export function full(metric: Metric, value: Maybe, currency: string): string {
  return metric === "revenue" ? money(value, currency) : integer(value);
}

/** A value of a metric, for an axis. */
export function brief(metric: Metric, value: Maybe, currency: string): string {
  return metric === "revenue" ? shortMoney(value, currency) : short(value);
}

/** How much more or less than before: as a sign for eyes, and in words. */
export interface Change {
  sign: string; // ▲ 12%, ▼ 3%, = 0%
  words: string; // 12% more than
}

/** Null without a number to compare with. */
export function change(now: Maybe, before: Maybe): Change | null {
  if (!known(now) || !known(before)) return null;
  if (before === 0) return now === 0 ? same : null;
  const ratio = now / before - 1;
  const text = Math.abs(ratio) >= 10 ? `${integer(Math.abs(ratio) + 1)}×` : wholePercent.format(Math.abs(ratio));
  if (Math.abs(ratio) < 0.005) return same;
  if (Math.abs(ratio) >= 10) return { sign: `▲ ${text}`, words: `${text} as much as` };
  return ratio > 0 ? { sign: `▲ ${text}`, words: `${text} more than` } : { sign: `▼ ${text}`, words: `${text} less than` };
}

const same: Change = { sign: `= ${wholePercent.format(0)}`, words: "as much as" };

export function country(code: string): string {
  if (code === "ZZ") return "Unknown";
  return (/^[A-Z]{2}$/.test(code) && regions.of(code)) || code;
}

/** A value of a dimension, as people say it. */
export function valueName(dimension: Dimension, value: string): string {
  if (dimension === "country") return country(value);
  return value === "" ? "(none)" : value;
}

function moneyFormat(currency: string, kind: "cents" | "whole" | "compact"): Intl.NumberFormat {
  const key = `${currency} ${kind}`;
  let format = moneyFormats.get(key);
  if (format === undefined) {
    format = new Intl.NumberFormat(undefined, {
      style: "currency", currency, currencyDisplay: "narrowSymbol",
      ...(kind === "whole" ? { maximumFractionDigits: 0 } : {}),
      ...(kind === "compact" ? { notation: "compact", maximumFractionDigits: 1 } : {}),
    });
    moneyFormats.set(key, format);
  }
  return format;
}
