/** The filter: which chips stand for it, and what it is in the address. Pure. */

import { DIMENSIONS, type Dimension, type Filter } from "./live";
import { valueName } from "./format";

export const MAX_VALUE = 128; // characters, as the service takes them

export const TITLES: Record<Dimension, string> = { country: "Country", device: "Device", category: "Category" };

export interface Chip {
  dimension: Dimension;
  value: string;
  text: string; // Country: Germany
  fixed: boolean; // by the key: cannot be removed
}

export function chips(filter: Filter, fixed: Filter): Chip[] {
  return DIMENSIONS.flatMap((dimension) => {
    const value = filter[dimension];
    if (value === undefined) return [];
    const text = `${TITLES[dimension]}: ${valueName(dimension, value)}`;
    return [{ dimension, value, text, fixed: fixed[dimension] !== undefined }];
  });
}

/** With this value, or without it when it is there already. What is fixed stays. */
export function toggled(filter: Filter, fixed: Filter, dimension: Dimension, value: string): Filter {
  if (fixed[dimension] !== undefined) return filter;
  const { [dimension]: before, ...rest } = filter;
  return ordered(before === value ? rest : { ...rest, [dimension]: value });
}

export function without(filter: Filter, fixed: Filter, dimension: Dimension): Filter {
  const { [dimension]: _, ...rest } = filter;
  return ordered({ ...rest, ...fixed });
}

export function sameFilter(a: Filter, b: Filter): boolean {
  return DIMENSIONS.every((name) => a[name] === b[name]);
}

/** As text for people: "Germany, mobile"; "" of no filter. */
export function inWords(filter: Filter): string {
  return DIMENSIONS.flatMap((name) => {
    const value = filter[name];
    return value === undefined ? [] : [valueName(name, value)];
  }).join(", ");
}

/** What the address says; values that no service takes are left out. */
export function readFilter(query: URLSearchParams): Filter {
  const found: Filter = {};
  for (const name of DIMENSIONS) {
    const value = query.get(name);
    if (value !== null && value !== "" && value.length <= MAX_VALUE) found[name] = value;
  }
  return found;
}

/** `filter=country:US,…` as the query API takes it; "" of no filter. */
export function queryOf(filter: Filter): string {
  return DIMENSIONS.flatMap((name) => {
    const value = filter[name];
    return value === undefined ? [] : [`&filter=${encodeURIComponent(`${name}:${value}`)}`];
  }).join("");
}

function ordered(filter: Filter): Filter {
  const found: Filter = {};
  for (const name of DIMENSIONS) {
    const value = filter[name];
    if (value !== undefined) found[name] = value;
  }
  return found;
}
