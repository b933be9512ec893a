import { describe, expect, test } from "vitest";

import { Zone } from "../src/zone";

const at = (text: string) => Date.parse(text) / 1000;
const berlin = new Zone("Europe/Berlin"); // 2026: summer time from 29 March 01:00Z to 25 October 01:00Z

test("a clock is of the project's zone, whatever the reader's is", () => {
  expect(berlin.clock(at("2026-07-01T22:30:00Z"))).toBe("00:30");
  expect(new Zone("Asia/Kolkata").clock(at("2026-07-01T22:30:00Z"))).toBe("04:00");
});

test("a zone that the browser does not know is UTC, and says so", () => {
  const zone = new Zone("Mars/Olympus");
  expect(zone.name).toBe("UTC");
  expect(zone.clock(at("2026-07-01T22:30:00Z"))).toBe("22:30");
});

describe("yesterday", () => {
  test("is a day ago on a usual day", () => {
    expect(berlin.yesterday(at("2026-07-02T10:00:30Z"))).toBe(at("2026-07-01T10:00:30Z"));
  });

  test("is 23 hours ago on the day after the clocks went forward, and null for the hour that was not", () => {
    expect(berlin.yesterday(at("2026-03-29T10:00:00Z"))).toBe(at("2026-03-28T11:00:00Z")); // 12:00 both
    expect(berlin.yesterday(at("2026-03-30T00:30:00Z"))).toBeNull(); // 02:30
    expect(berlin.yesterday(at("2026-03-29T23:30:00Z"))).toBe(at("2026-03-29T00:30:00Z")); // 01:30
    expect(berlin.yesterday(at("2026-03-30T01:30:00Z"))).toBe(at("2026-03-29T01:30:00Z")); // 03:30
  });

  test("is 25 hours ago on the day the clocks go back, and of two equal times that of today's offset", () => {
    expect(berlin.yesterday(at("2026-10-25T11:00:00Z"))).toBe(at("2026-10-24T10:00:00Z")); // 12:00 both
    expect(berlin.yesterday(at("2026-10-26T01:30:00Z"))).toBe(at("2026-10-25T01:30:00Z")); // 02:30, the second
  });

  test("shows the same local clock on every quarter of an hour of a year, in zones of all kinds", () => {
    for (const name of ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/St_Johns", "UTC"]) {
      const zone = new Zone(name);
      const local = (time: number) => time + zone.offset(time);
      let none = 0;
      const wrong: number[] = [];
      for (let time = at("2026-01-01T00:00:00Z"); time < at("2027-01-01T00:00:00Z"); time += 900) {
        const before = zone.yesterday(time);
        if (before === null) none += 1;
        else if (local(time) - local(before) !== 86_400) wrong.push(time);
      }
      expect(wrong).toEqual([]);
      expect(none).toBeLessThanOrEqual(4); // an hour in spring, half an hour on Lord Howe
    }
  }, 60_000);
});

describe("ticks", () => {
  test("stand at whole hours of local clocks", () => {
    const zone = new Zone("Asia/Kolkata");
    const found = zone.ticks(at("2026-07-01T00:00:00Z"), at("2026-07-01T03:00:00Z"), 3600);
    expect(found.map((time) => zone.clock(time))).toEqual(["06:00", "07:00", "08:00"]);
  });

  test("go over a change of clocks in both directions", () => {
    const clocks = (from: string, to: string, step: number) =>
      berlin.ticks(at(from), at(to), step).map((time) => berlin.clock(time));
    expect(clocks("2026-03-28T23:00:00Z", "2026-03-29T04:00:00Z", 3600)).toEqual(["00:00", "01:00", "03:00", "04:00", "05:00", "06:00"]);
    expect(clocks("2026-10-24T20:00:00Z", "2026-10-25T08:00:00Z", 4 * 3600)).toEqual(["00:00", "04:00", "08:00"]);
  });
});
