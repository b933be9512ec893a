import { expect, test } from "vitest";

import { type Brush, stroke } from "../src/brush";

/** The keys one after the other on minutes 100 to 160; "S+" is with Shift. */
function press(...keys: string[]) {
  let brush: Brush | null = null;
  for (const key of keys) {
    const done = stroke(brush, key.replace("S+", ""), key.startsWith("S+"), 100, 160);
    if (done.kind !== "move") return done;
    brush = done.brush;
  }
  return brush;
}

test("the first step is to the newest minute, and no step leaves the chart", () => {
  expect(press("ArrowLeft")).toEqual({ at: 160, anchor: null });
  expect(press("ArrowLeft", "ArrowLeft")).toEqual({ at: 159, anchor: null });
  expect(press("End", "ArrowRight", "ArrowRight")).toEqual({ at: 160, anchor: null });
  expect(press("Home", "S+ArrowLeft")).toEqual({ at: 100, anchor: null });
  expect(press("Home", "S+ArrowRight")).toEqual({ at: 110, anchor: null });
});

test("two presses of the space bar select what is between them, in either direction", () => {
  expect(press("Home", " ", "S+ArrowRight", " ")).toEqual({ kind: "zoom", from: 100, to: 110 });
  expect(press("End", "Enter", "PageDown", "Enter")).toEqual({ kind: "zoom", from: 100, to: 160 });
});

test("a selection of nothing is none", () => {
  expect(press("End", " ", " ")).toEqual({ at: 160, anchor: null });
});

test("other keys are not the chart's", () => {
  expect(press("r")).toEqual({ kind: "none" });
  expect(press("Tab")).toEqual({ kind: "none" });
});
