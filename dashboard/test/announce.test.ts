import { expect, test } from "vitest";

import { Announcer } from "../src/announce";

test("at most one text in 30 seconds, always the latest; numbers wait for what has happened", () => {
  let now = 0;
  const said: [number, string][] = [];
  const announcer = new Announcer((text) => said.push([now, text]), () => now);
  announcer.tell("Live.");
  announcer.tell("Connection lost.");
  for (now = 0; now <= 200_000; now += 500) {
    if (now === 5_000) announcer.tell("Live.");
    if (now === 20_000) announcer.tell("No fresh numbers.");
    announcer.numbers(() => "numbers");
    announcer.tick();
  }
  expect(said.slice(0, 2)).toEqual([[0, "Live."], [30_000, "No fresh numbers."]]);
  for (let at = 1; at < said.length; at += 1) expect((said[at]?.[0] ?? 0) - (said[at - 1]?.[0] ?? 0)).toBeGreaterThanOrEqual(30_000);
  const numbers = said.filter(([, text]) => text === "numbers").map(([time]) => time);
  expect(numbers).toEqual([60_000, 120_000, 180_000]);
});
