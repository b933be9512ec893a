import { expect, test } from "vitest";

import { arranged, type RankRow } from "../src/ranking";

const row = (value: string, count: number): RankRow => ({ value, count, share: count / 100 });
const values = (rows: RankRow[]) => rows.map(({ value }) => value);

test("all, when there is room", () => {
  expect(values(arranged([row("a", 60), row("b", 30), row("other", 10)], 3, null))).toEqual(["a", "b", "other"]);
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
