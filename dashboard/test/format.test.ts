import { expect, test } from "vitest";

import { change, country, estimate, full, integer, money, percent, rate, share } from "../src/format";

test("what is not known is a dash, never 0 or NaN", () => {
  for (const say of [integer, rate, percent, share]) {
    expect(say(null)).toBe("–");
    expect(say(Number.NaN)).toBe("–");
  }
  expect(estimate(null, null)).toBe("–");
  expect(money(undefined, "USD")).toBe("–");
});

test("an estimate says that it is one, and is as exact as it means", () => {
  expect(estimate(3, 0)).toBe("3");
  expect(estimate(4_346, 36)).toBe("~4,346");
  expect(estimate(12_345, 100)).toBe("~12.3K");
  expect(estimate(1_234_567, 9_000)).toBe("~1.23M");
});

test("money has cents while they mean something", () => {
  expect(money(81.5, "USD")).toBe("$81.50");
  expect(money(811_641.4, "USD")).toBe("$811,641");
  expect(full("revenue", 3, "EUR")).toBe("€3.00");
  expect(full("events", 3_000, "EUR")).toBe("3,000");
});

test("a change has a sign that is read without colour, and words", () => {
  expect(change(112, 100)).toEqual({ sign: "▲ 12%", words: "12% more than" });
  expect(change(97, 100)).toEqual({ sign: "▼ 3%", words: "3% less than" });
  expect(change(100.2, 100)?.sign).toBe("= 0%");
  expect(change(1_500, 100)).toEqual({ sign: "▲ 15×", words: "15× as much as" });
  expect(change(0, 100)?.sign).toBe("▼ 100%");
  expect(change(0, 0)?.sign).toBe("= 0%");
  expect(change(5, 0)).toBeNull();
  expect(change(5, null)).toBeNull();
});

test("small shares are not nothing", () => {
  expect(share(0.001)).toBe("<1%");
  expect(share(0)).toBe("0%");
  expect(share(0.376)).toBe("38%");
});

test("countries by name; what is no country stays as it came", () => {
  expect(country("DE")).toBe("Germany");
  expect(country("ZZ")).toBe("Unknown");
  expect(country("QQ")).toBe("QQ");
  expect(country("germany")).toBe("germany");
});
