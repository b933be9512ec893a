import { expect, test } from "vitest";

import { arranged, type RankRow, typeRows } from "../src/ranking";

import { seriesOf } from "./series";

const row = (value: string, count: number): RankRow => ({ value, count, share: count / 100 });
const values = (rows: RankRow[]) => rows.map(({ value }) => value);

test("all, when there is room", () => {
  expect(values(arranged([row("a", 60), row("b", 30), row("other", 10)], 3, null))).toEqual(["a", "b", "other"]);
  expect(values(arranged([row("a", 60), row("b", 40), row("other", 0)], 3, null))).toEqual(["a", "b"]);
});

test("what has no room is in `other`, and nothing is lost", () => {
  const rows = [row("a", 40), row("b", 30), row("c", 15), row("d", 10), row("other", 5)];
  for (let lines = 2; lines <= 6; lines += 1) {
    const found = arranged(rows, lines, null);
    expect(found.length).toBeLessThanOrEqual(lines);
    expect(found.reduce((sum, { count }) => sum + count, 0)).toBe(100);
    expect(found.reduce((sum, { share }) => sum + (share ?? 0), 0)).toBeCloseTo(1);
  }
});

test("rows that somebody points at keep their places", () => {
  const rows = [row("b", 50), row("a", 40), row("c", 10)];
  expect(values(arranged(rows, 3, ["a", "b"]))).toEqual(["a", "b", "c"]);
  expect(values(arranged(rows, 3, null))).toEqual(["b", "a", "c"]);
});

test("types are of the last hour, with their shares of all events", () => {
  const minutes = "f".repeat(100);
  const ones = [...minutes].map(() => 1);
  const columns = { events: ones.map(() => 10), page_views: ones.map(() => 6), clicks: ones.map(() => 3), purchases: ones, errors: ones };
  expect(typeRows(seriesOf(minutes, { columns }))).toEqual([
    { value: "page_views", count: 360, share: 0.6 }, { value: "clicks", count: 180, share: 0.3 },
    { value: "purchases", count: 60, share: 0.1 }, { value: "errors", count: 60, share: 0.1 },
  ]);
  expect(typeRows(seriesOf("...."))).toEqual([]);
});
