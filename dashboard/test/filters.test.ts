import { expect, test } from "vitest";

import { readAddress, writeAddress } from "../src/address";
import { chips, inWords, queryOf, readFilter, sameFilter, toggled, without } from "../src/filters";
import type { Filter } from "../src/live";

test("rows of several dimensions make one filter, and a second press takes a value out", () => {
  const one = toggled({}, {}, "device", "mobile");
  const two = toggled(one, {}, "country", "DE");
  expect(two).toEqual({ country: "DE", device: "mobile" });
  expect(toggled(two, {}, "country", "FR")).toEqual({ country: "FR", device: "mobile" });
  expect(toggled(two, {}, "device", "mobile")).toEqual({ country: "DE" });
});

test("what the key has fixed stays", () => {
  const fixed = { country: "DE" };
  expect(toggled(fixed, fixed, "country", "FR")).toEqual(fixed);
  expect(without({ country: "DE", device: "tv" }, fixed, "device")).toEqual(fixed);
  expect(without({ country: "DE", device: "tv" }, fixed, "country")).toEqual({ country: "DE", device: "tv" });
});

test("chips say what they are of, in the order of the dimensions", () => {
  expect(chips({ device: "mobile", country: "DE" }, { country: "DE" })).toEqual([
    { dimension: "country", value: "DE", text: "Country: Germany", fixed: true },
    { dimension: "device", value: "mobile", text: "Device: mobile", fixed: false },
  ]);
  expect(inWords({ device: "mobile", country: "ZZ" })).toBe("Unknown, mobile");
});

test("whatever a filter is, the address keeps it", () => {
  const values = ["DE", "a b", "shoes & bags", "50%", "größe", "x=y?z#", "👟", '"', "%2F", "+"];
  for (const country of values) {
    for (const category of values) {
      const filter: Filter = { country, category };
      const view = { filter, metric: "revenue", hours: 6, compare: true, tv: false } as const;
      expect(readAddress(writeAddress(view, {}))).toEqual(view);
      expect(sameFilter(readAddress(writeAddress(view, { country })).filter, { category })).toBe(true);
    }
  }
});

test("of an address only what can be is taken", () => {
  expect(readFilter(new URLSearchParams(`country=&device=${"x".repeat(129)}&city=Rome`))).toEqual({});
  const { metric, hours, compare, tv } = readAddress("?metric=toString&hours=7&compare=no&tv");
  expect({ metric, hours, compare, tv }).toEqual({ metric: "events", hours: null, compare: false, tv: true });
  expect(writeAddress(readAddress(""), {})).toBe("");
});

test("a filter as the query API takes it", () => {
  expect(queryOf({ country: "DE", category: "a,b&c" })).toBe("&filter=country%3ADE&filter=category%3Aa%2Cb%26c");
});
