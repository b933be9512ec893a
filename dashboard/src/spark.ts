/** A line without axes over one hour, as SVG paths. Pure. */

import type { Points } from "./minutes";

export const WIDTH = 300;
export const HEIGHT = 40;
const FOOT = 2; // below the lowest value
const HEAD = 3;

export interface Spark {
  line: string;
  area: string;
}

const NOTHING: Spark = { line: "", area: "" };

/** Points over [start, end]; at least two are needed. */
export function spark(points: Points, start: number, end: number): Spark {
  const shown = points.filter(([time]) => time >= start && time <= end);
  const [first] = shown;
  const last = shown.at(-1);
  if (first === undefined || last === undefined || shown.length < 2) return NOTHING;
  const values = shown.map(([, value]) => value);
  const highest = Math.max(...values);
  // The range is never narrower than 40 % of the highest value: noise should look like noise.
  const lowest = Math.max(0, Math.min(Math.min(...values), highest * 0.6) - highest * 0.08);
  const scale = (HEIGHT - FOOT - HEAD) / (highest - lowest || 1);
  const x = (time: number) => (place(time, start, end) * WIDTH).toFixed(1);
  const shape = shown.map(([time, value]) => `${x(time)} ${(HEIGHT - FOOT - (value - lowest) * scale).toFixed(1)}`);
  return {
    line: `M${shape.join("L")}`,
    area: `M${x(first[0])} ${HEIGHT}L${shape.join("L")}L${x(last[0])} ${HEIGHT}Z`,
  };
}

/** Where a time is in [start, end], from 0 to 1. */
export function place(time: number, start: number, end: number): number {
  return (time - start) / (end - start || 1);
}
