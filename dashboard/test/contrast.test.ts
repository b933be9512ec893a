/** The palette against WCAG 2.2 AA: 4.5 for text, 3 for lines and edges that mean something. */

import { readFileSync } from "node:fs";

import { describe, expect, test } from "vitest";

const css = readFileSync(new URL("../src/styles/tokens.css", import.meta.url), "utf8");
const [light = "", dark = ""] = css.split("@media (prefers-color-scheme: dark)");

const TEXT: [string, string][] = [
  ["text", "page"], ["text", "panel"], ["text", "wash"], ["muted", "page"], ["muted", "panel"], ["muted", "wash"],
  ["accent", "panel"], ["accent", "wash"], ["warn", "panel"], ["warn", "warn-wash"], ["on-accent", "accent"], ["panel", "text"],
];
const EDGES: [string, string][] = [
  ["accent", "page"], ["past", "panel"], ["control", "panel"], ["control", "page"],
];

function colours(block: string): Map<string, string> {
  return new Map([...block.matchAll(/--([a-z-]+): (#[0-9a-f]{6});/g)].map(([, name = "", value = ""]) => [name, value]));
}

function luminance(hex: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
    const part = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(a: string, b: string): number {
  const [high = 0, low = 0] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (high + 0.05) / (low + 0.05);
}

test("the measure is right", () => {
  expect(contrast("#ffffff", "#000000")).toBeCloseTo(21);
  expect(contrast("#777777", "#ffffff")).toBeCloseTo(4.48, 2);
});

describe.each([["light", colours(light)], ["dark", new Map([...colours(light), ...colours(dark)])]])("%s", (_, palette) => {
  const of = (name: string) => palette.get(name) ?? "";
  test.each(TEXT)("%s on %s is read", (front, back) => expect(contrast(of(front), of(back))).toBeGreaterThanOrEqual(4.5));
  test.each(EDGES)("%s on %s is seen", (front, back) => expect(contrast(of(front), of(back))).toBeGreaterThanOrEqual(3));
});
