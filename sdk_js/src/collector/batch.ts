/** A batch: what one request carries. Its id is made with its first event and is kept for ever. */

import { uuid7 } from "./ids.js";

/**
 * For so long after its first event the page that made a batch may change it: add to it, split it.
 * Other pages leave it alone for twice that, unless it is let go before; so a batch that two pages
 * know has the same content for both.
 */
export const LEASE = 10_000; // ms
/** The collector remembers a batch id for 24 hours: after these it might count a repeat. */
const REPEATABLE = 20 * 3_600_000;
const KEPT = 7 * 24 * 3_600_000; // what was never handed over

export interface Batch {
  id: string;
  at: number; // ms, when its first event was captured
  sent: number; // ms, when it was first handed to a request or a beacon; 0: never
  held: boolean; // only the page that made it may use it, for a while
  events: string[]; // JSON
  bytes: number;
  beaconed?: boolean; // since the page was last looked at
}

const encoder = new TextEncoder();

/** The size in UTF-8. */
export const size = (text: string): number => encoder.encode(text).length;

export function newBatch(now: number): Batch {
  return filled({ id: uuid7(now, now), at: now, sent: 0, held: true }, []);
}

export function add(batch: Batch, event: string): void {
  batch.events.push(event);
  batch.bytes += size(event) + 1;
}

function filled(batch: Omit<Batch, "events" | "bytes">, events: string[]): Batch {
  const made = { ...batch, events: [], bytes: 0 };
  events.forEach((event) => add(made, event));
  return made;
}

/** Whether its page may still add to it or split it. */
export const changeable = (batch: Batch, now: number): boolean => batch.held && now - batch.at < LEASE;

/** Whether it is too late to hand it over. */
export const expired = (batch: Batch, now: number): boolean =>
  batch.sent ? now - batch.sent > REPEATABLE : now - batch.at > KEPT;

/** Two halves with ids of their own, the same ones however often it is done. */
export function split(batch: Batch): [Batch, Batch] {
  const middle = batch.events.length >> 1;
  const part = (name: string, events: string[]): Batch => filled({ ...batch, id: batch.id + name }, events);
  return [part("a", batch.events.slice(0, middle)), part("b", batch.events.slice(middle))];
}

/** The request's body. */
export const body = (batch: Batch): string => `{"batch_id":"${batch.id}","sent_at":${Date.now()},"events":[${batch.events}]}`;

/** As it is stored. */
export const pack = (batch: Batch): string => `[${[batch.at, batch.sent, +batch.held, ...batch.events]}]`;

/** Throws when it is not what `pack` made. */
export function unpack(id: string, text: string): Batch {
  const [at, sent, held, ...events] = JSON.parse(text) as [number, number, number, ...object[]];
  return filled({ id, at, sent, held: !!held }, events.map((event) => JSON.stringify(event)));
}
