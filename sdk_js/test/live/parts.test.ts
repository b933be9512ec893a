import { describe, expect, it } from "vitest";
import { Backoff } from "../../src/live/backoff.js";
import { retryAfter } from "../../src/live/http.js";
import { Ladder, transportOf } from "../../src/live/ladder.js";
import { parse } from "../../src/live/messages.js";
import { answers, learnt, orderOf, parameters, subscription } from "../../src/live/wish.js";
import { numbers, START } from "./numbers.js";

describe("backoff", () => {
  it.each([0, 0.25, 0.99])("doubles from 1 s to 30 s, at least half of it (random %d)", (random) => {
    const backoff = new Backoff(() => random);
    const longest = [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000];
    expect(longest.map(() => backoff.next())).toEqual(longest.map((ms) => ms * (0.5 + random / 2)));
    expect(backoff.failed).toBe(true);
    backoff.reset();
    expect(backoff.failed).toBe(false);
    expect(backoff.next()).toBe(1_000 * (0.5 + random / 2));
  });
});

describe("ladder", () => {
  it("goes down after two that are blocked, never off its end, and up by what gets through", () => {
    const ladder = new Ladder();
    expect([1, 2, 3, 4, 5, 6].map(() => ladder.blocked(0))).toEqual([false, true, false, true, false, false]);
    expect(transportOf(ladder.rank)).toBe("polling");
    expect([ladder.due(179_999), ladder.due(180_000)]).toEqual([false, true]);
    ladder.through(1, 200_000);
    expect(transportOf(ladder.rank)).toBe("sse");
    expect([ladder.due(379_999), ladder.due(380_000)]).toEqual([false, true]);
    ladder.reset();
    expect([transportOf(ladder.rank), ladder.due(1e9)]).toEqual(["websocket", false]);
  });

  it("counts those in a row only", () => {
    const ladder = new Ladder();
    expect(ladder.blocked(0)).toBe(false);
    ladder.through(0, 0);
    expect(ladder.blocked(0)).toBe(false);
    expect(ladder.blocked(0)).toBe(true);
  });
});

describe("Retry-After", () => {
  const now = Date.UTC(2026, 0, 1);
  it.each([
    [null, 0],
    ["7", 7_000],
    ["0", 0],
    ["-3", 0],
    ["99999999", 3_600_000],
    ["soon", 0],
    [new Date(now + 9_000).toUTCString(), 9_000],
    [new Date(now - 9_000).toUTCString(), 0],
  ])("%s is %d ms", (said, wait) => expect(retryAfter(said, now)).toBe(wait));
});

describe("messages", () => {
  it.each([
    numbers("snapshot", START, []),
    { type: "announce", reason: "leaving", reconnect_within_seconds: 2 },
    { type: "announce", reason: "degraded", refresh_seconds: 10 },
    { type: "announce", reason: "normal", refresh_seconds: 2 },
    { type: "ticket", ticket: "t", seconds: 600 },
    { type: "error", code: "store_unavailable", message: "m" },
  ])("are understood: %j", (message) => expect(parse(JSON.stringify(message))).toEqual(message));

  it.each([
    ...["", "{", "null", "3", '"x"', "[]", "{}", '{"type":"news"}', '{"type":"announce","reason":"tea"}'],
    ...['{"type":"announce","reason":"leaving"}', '{"type":"announce","reason":"degraded"}'],
    ...['{"type":"delta"}', '{"type":"error"}', '{"type":"ticket","ticket":"t"}', '{"type":"snapshot","time":[]}'],
  ])("are left out otherwise: %s", (text) => expect(parse(text)).toBeNull());
});

describe("wish", () => {
  const full = orderOf({
    filter: { device: "tv", country: "DE" },
    metrics: ["errors", "events"],
    dimensions: ["device", "country"],
    recent: true,
  });

  it("is in the service's order, with what it has by default", () => {
    expect(JSON.stringify(full)).toBe(
      '{"filter":{"country":"DE","device":"tv"},"metrics":["events","errors"],"dimensions":["country","device"],"recent":true}',
    );
    const usual = orderOf({});
    expect([usual.metrics.includes("bots"), usual.metrics.length, usual.recent]).toEqual([false, 6, false]);
  });

  it("is said by a message, and in an address", () => {
    expect(JSON.parse(subscription({ order: full, since: 5.5 }))).toEqual({
      ...{ type: "subscribe", tickets: true, filter: { country: "DE", device: "tv" } },
      ...{ metrics: ["events", "errors"], dimensions: ["country", "device"], recent: true, since: 5.5 },
    });
    expect(JSON.parse(subscription({ order: orderOf({}), since: null }))).not.toHaveProperty("since");
    expect(Object.fromEntries(parameters({ order: full, since: 5.5 }))).toEqual({
      ...{ filter: "country:DE,device:tv", metrics: "events,errors", dimensions: "country,device" },
      ...{ recent: "1", since: "5.5" },
    });
    expect([...parameters({ order: orderOf({}), since: null }).keys()]).toEqual(["metrics"]);
  });

  it("is answered by the same filter and columns, and what the key has fixed", () => {
    const german = orderOf({ filter: { country: "DE" } });
    const of = (filter: object, metrics = german.metrics) => numbers("delta", START, [], { filter }, metrics);
    expect(answers(of({ country: "DE" }), german, {})).toBe(true);
    expect(answers(of({}), german, {})).toBe(false);
    expect(answers(of({ country: "US" }), german, {})).toBe(false);
    expect(answers(of({ country: "DE" }, ["events"]), german, {})).toBe(false);
    expect(answers(of({ country: "DE" }, [...german.metrics, "bots"]), german, {})).toBe(false);
    // What is not known yet may be; what is known has to be.
    const shared = of({ country: "DE", device: "tv" });
    expect(answers(shared, german, {})).toBe(true);
    const fixed = learnt(shared, german, {});
    expect(fixed).toEqual({ device: "tv", category: null });
    expect(answers(shared, german, fixed)).toBe(true);
    expect(answers(of({ country: "DE" }), german, fixed)).toBe(false);
    expect(answers(of({ country: "DE", category: "x" }), german, { category: null })).toBe(false);
  });
});
