/** A wish as the service is told it, and whether a message answers to it. */

import { DIMENSIONS, METRICS, type Dimension, type Filter, type Metric, type Numbers, type Wish } from "./types.js";

/** A wish that leaves nothing open, in the service's order: two are the same when their JSON is. */
export interface Order {
  readonly filter: Filter;
  readonly metrics: readonly Metric[];
  readonly dimensions: readonly Dimension[];
  readonly recent: boolean;
}

/** What is asked for: of which order, and only what has changed since, when that is a time. */
export interface Question {
  readonly order: Order;
  readonly since: number | null; // epoch seconds
}

const USUAL: readonly Metric[] = METRICS.filter((name) => name !== "bots");

export function orderOf({ filter = {}, metrics = USUAL, dimensions = [], recent = false }: Wish): Order {
  const chosen: Filter = {};
  for (const name of DIMENSIONS) if (filter[name] !== undefined) chosen[name] = filter[name];
  return {
    filter: chosen,
    metrics: METRICS.filter((name) => metrics.includes(name)),
    dimensions: DIMENSIONS.filter((name) => dimensions.includes(name)),
    recent,
  };
}

/** The message that a socket is opened with, or changes its mind by. */
export function subscription({ order, since }: Question): string {
  const { recent, ...rest } = order;
  return JSON.stringify({
    type: "subscribe",
    tickets: true,
    ...rest,
    ...(recent && { recent }),
    ...(since !== null && { since }),
  });
}

/** The same in an address. */
export function parameters({ order, since }: Question): URLSearchParams {
  const filter = Object.entries(order.filter).map(([name, value]) => `${name}:${value}`);
  const said = new URLSearchParams({ metrics: order.metrics.join() });
  if (filter.length > 0) said.set("filter", filter.join());
  if (order.dimensions.length > 0) said.set("dimensions", order.dimensions.join());
  if (order.recent) said.set("recent", "1");
  if (since !== null) said.set("since", String(since));
  return said;
}

/**
 * Whether a message may be the answer to an order, as one to the order before may still be under
 * way. `fixed` is what the key has for all it opens, by dimension: null is nothing, and a dimension
 * of which that is not known yet may have any value.
 */
export function answers(message: Numbers, order: Order, fixed: Fixed): boolean {
  const fits = DIMENSIONS.every((name) => {
    const said = message.filter[name] ?? null;
    const wanted = order.filter[name] ?? fixed[name];
    return wanted === undefined || wanted === said;
  });
  return fits && METRICS.every((name) => order.metrics.includes(name) === (message[name] !== undefined));
}

export type Fixed = Readonly<Partial<Record<Dimension, string | null>>>;

/** What is fixed, learnt of a message that surely answers to an order. */
export function learnt(message: Numbers, order: Order, fixed: Fixed): Fixed {
  const found: Partial<Record<Dimension, string | null>> = { ...fixed };
  for (const name of DIMENSIONS) {
    if (order.filter[name] === undefined) found[name] = message.filter[name] ?? null;
  }
  return found;
}
