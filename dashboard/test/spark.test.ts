import { expect, test } from "vitest";

import type { Points } from "../src/minutes";
import { HEIGHT, spark, WIDTH } from "../src/spark";

test("a line needs two points in its time", () => {
  expect(spark([[0, 1]], 0, 100).line).toBe("");
  expect(spark([[0, 1], [10, 2]], 50, 100).line).toBe("");
});

test("whatever the values are, the line stays in its box", () => {
  const shapes: Points[] = [
    [[0, 0], [50, 0], [100, 0]], [[0, 1e9], [100, 1e9 + 1]], [[0, 0.001], [40, 0.5], [100, 0.2]], [[0, 5], [100, 5]],
  ];
  for (const points of shapes) {
    const pairs = spark(points, 0, 100).line.slice(1).split("L").map((pair) => pair.split(" ").map(Number));
    for (const [x = Number.NaN, y = Number.NaN] of pairs) {
      expect(x).toBeGreaterThanOrEqual(0);
      expect(x).toBeLessThanOrEqual(WIDTH);
      expect(y).toBeGreaterThanOrEqual(0);
      expect(y).toBeLessThanOrEqual(HEIGHT);
    }
  }
});
