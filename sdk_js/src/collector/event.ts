/** An event's JSON, within the collector's limits (events/limits.py). */

import type { Context, Props } from "./options.js";
import type { Stamp } from "./session.js";

export const MAX_BYTES = 32_768;
const MAX_PROPS = 32;
const MAX_NAME = 64; // characters, like the next
const MAX_VALUE = 1_024;

const TYPE = /^[a-z][a-z0-9_.:-]{0,63}$/;

export interface Money {
  amount: string;
  currency: string;
}

export function checkType(type: string): void {
  if (typeof type !== "string" || !TYPE.test(type)) throw Error(`bad type: ${type}`);
}

export function encode(stamp: Stamp, ts: number, type: string, props: Props, context: Context, money?: Money): string {
  const { category, ...rest } = props;
  return JSON.stringify({
    type,
    user_id: cut(context.userId || stamp.user_id, 128),
    ts,
    id: stamp.id,
    session_id: cut(context.sessionId || stamp.session_id, 128),
    url: cut(context.url, 2_048),
    category: cut(category, MAX_NAME),
    ...money,
    props: plain(rest),
  });
}

/** Text keeps every digit; a number gets six decimals, all that there are. */
export function money(amount: number | string, currency: string): Money {
  const text = typeof amount === "number" ? amount.toFixed(6) : amount;
  if (!/^-?\d+(\.\d+)?$/.test(text) || !/^[A-Z]{3}$/.test(currency)) {
    throw Error(`bad amount: ${amount} ${currency}`);
  }
  return { amount: text, currency };
}

const cut = (value: unknown, most: number): string | undefined => (value ? String(value).slice(0, most) : undefined);

/** What the collector takes of props; the rest would cost the whole event. */
function plain(props: Props): Props | undefined {
  const kept = Object.entries(props)
    .filter(([name, value]) => name.length <= MAX_NAME && (/^(string|boolean)$/.test(typeof value) || value === null || Number.isFinite(value)))
    .slice(0, MAX_PROPS)
    .map(([name, value]) => [name, typeof value === "string" ? value.slice(0, MAX_VALUE) : value]);
  return kept.length ? Object.fromEntries(kept) : undefined;
}
