/** Numbers, money and times as text. Formatters are made once: making one is the slow part. */

const DASH = "–";
const whole = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat(undefined, {
  minimumFractionDigits: 1, maximumFractionDigits: 1,
});
const compact = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 1 });
const percentage = new Intl.NumberFormat(undefined, {
  style: "percent", minimumFractionDigits: 2, maximumFractionDigits: 2,
});
const hourMinute = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit", minute: "2-digit", hourCycle: "h23",
});
const hourMinuteSecond = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
});
const monthDay = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric" });
const regions = new Intl.DisplayNames(undefined, { type: "region", fallback: "none" });
const moneyFormats = new Map();

const known = (value) => typeof value === "number" && Number.isFinite(value);

export const integer = (value) => (known(value) ? whole.format(value) : DASH);

/** A rate: one decimal while it is small enough for that to mean something. */
export const rate = (value) => {
  if (!known(value)) return DASH;
  return (value < 1000 ? tenths : whole).format(value);
};

export const short = (value) => (known(value) ? compact.format(value) : DASH);

export const percent = (value) => (known(value) ? percentage.format(value) : DASH);

/** Money; above 10,000 the cents are noise and left out. */
export const money = (value, currency) => {
  if (!known(value)) return DASH;
  return moneyFormat(currency, Math.abs(value) < 10000 ? "cents" : "whole").format(value);
};

export const shortMoney = (value, currency) =>
  known(value) ? moneyFormat(currency, "compact").format(value) : DASH;

/** hh:mm of an epoch in seconds, in the reader's time zone. */
export const clock = (seconds) => hourMinute.format(seconds * 1000);

export const clockSeconds = (seconds) => hourMinuteSecond.format(seconds * 1000);

export const day = (seconds) => monthDay.format(seconds * 1000);

export const country = (code) => {
  if (code === "ZZ") return "Unknown";
  return (/^[A-Z]{2}$/.test(code) && regions.of(code)) || code;
};

function moneyFormat(currency, kind) {
  const key = `${currency} ${kind}`;
  let format = moneyFormats.get(key);
  if (format === undefined) {
    const options = { style: "currency", currency, currencyDisplay: "narrowSymbol" };
    if (kind === "whole") Object.assign(options, { maximumFractionDigits: 0 });
    if (kind === "compact") Object.assign(options, { notation: "compact", maximumFractionDigits: 1 });
    format = new Intl.NumberFormat(undefined, options);
    moneyFormats.set(key, format);
  }
  return format;
}
