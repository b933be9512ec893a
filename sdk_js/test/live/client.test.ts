import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { day, MINUTE, numbers, START, USUAL } from "./numbers.js";
import { pass, REFUSED, settle, sleep, Stage } from "./stage.js";

const LEAVING = { type: "announce", reason: "leaving", reconnect_within_seconds: 20 };
const at = (asOf: number, count: number, more: object = {}) =>
  numbers("snapshot", asOf, day(asOf, new Map([[START, count]])), more);
const delta = (asOf: number, count: number, more: object = {}) =>
  numbers("delta", asOf, [{ start: START, status: "partial", count }], more);
const AWAY = { type: "error", code: "store_unavailable", message: "m" };

beforeEach(() => {
  vi.useFakeTimers({ now: START * 1_000 });
});
afterEach(() => {
  vi.useRealTimers();
});

/** Its numbers came by a socket. */
async function live(stage = new Stage()): Promise<Stage> {
  await stage.open();
  stage.say(at(START + 1, 5));
  return stage;
}

describe("the first numbers", () => {
  it("come by one request, at the same time as the socket, which asks for what came since", async () => {
    const stage = new Stage({ filter: { country: "DE" }, dimensions: ["device"], recent: true });
    stage.snapshot = () => ({ status: 200, body: at(START + 1, 5, { filter: { country: "DE" } }) });
    stage.client.start();
    expect(stage.requests.map((request) => request.split("?")[0])).toEqual(["POST /v1/tickets", "GET /v1/live/snapshot"]);
    await settle();
    expect(stage.series).toHaveLength(1);
    expect(stage.state).toBe("connecting");
    expect(stage.socket.url).toMatch(/^wss:\/\/stats\.example\/v1\/live\?ticket=t\d$/);
    stage.socket.open();
    expect(stage.socket.sent).toEqual([
      {
        ...{ type: "subscribe", tickets: true, filter: { country: "DE" }, metrics: USUAL },
        ...{ dimensions: ["device"], recent: true, since: START + 1 },
      },
    ]);
    stage.say(delta(START + 2, 7, { filter: { country: "DE" } }));
    expect(stage.connection).toEqual({ state: "live", transport: "websocket" });
    expect(stage.series.at(-1)?.columns.events?.at(-1)).toBe(7);
    expect(stage.count("GET")).toBe(1);
  });

  it("of the request do not replace newer ones of the socket", async () => {
    const stage = new Stage();
    let late: (answer: unknown) => void = () => {};
    stage.snapshot = () => ({ status: 200, body: new Promise((resolve) => (late = resolve)) });
    await stage.open();
    expect(stage.socket.sent[0]).not.toHaveProperty("since");
    stage.say(at(START + 2, 7));
    late(at(START + 1, 5));
    await settle();
    expect(stage.series.at(-1)).toMatchObject({ asOf: START + 2 });
    expect(stage.series.at(-1)?.columns.events?.at(-1)).toBe(7);
  });

  it.each([REFUSED(503, "store_unavailable", "9"), REFUSED(404, "not_found"), "down" as const])(
    "come by the socket when the request fails (%j)",
    async (reply) => {
      const stage = new Stage();
      stage.snapshot = () => reply;
      await live(stage);
      expect(stage.state).toBe("live");
      expect(stage.failures).toEqual([]);
    },
  );
});

describe("an end", () => {
  it.each([0, 0.25, 0.99])("that was announced is no failure, and all come back spread (%d)", async (random) => {
    const stage = await live();
    stage.random = random;
    stage.say(LEAVING);
    stage.socket.cut();
    expect(stage.wait).toBe(random * 20_000);
    await pass(random * 20_000);
    expect(stage.sockets).toHaveLength(2);
    stage.socket.open();
    expect(stage.socket.sent[0]).toMatchObject({ since: START + 1 });
    // It holds for one end: what is lost next counts again, from the first.
    stage.socket.cut();
    expect(stage.wait).toBe(1_000 * (0.5 + random / 2));
  });

  it("that was not announced is a failure, until a connection has lasted", async () => {
    const stage = await live();
    stage.socket.cut();
    expect(stage.wait).toBe(750);
    await pass(750);
    stage.socket.open();
    await pass(9_000);
    stage.say(delta(START + 2, 6));
    stage.socket.cut();
    expect(stage.wait).toBe(1_500);
    await pass(1_500);
    stage.socket.open();
    await pass(10_001);
    stage.say(delta(START + 20, 7));
    stage.socket.cut();
    expect(stage.wait).toBe(750);
  });

  it("leaves nothing behind: an old socket is not heard any more", async () => {
    const stage = await live();
    const [old] = stage.sockets;
    stage.client.stop();
    const said = stage.connections.length;
    expect(old?.closed).toBe(true);
    old?.say(delta(START + 2, 9));
    old?.cut();
    await pass(120_000);
    expect(stage.series).toHaveLength(1);
    expect(stage.connections).toHaveLength(said);
    expect(stage.sockets).toHaveLength(1);
    expect(stage.listens).toBe(false);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe("a stop", () => {
  it("while there is no answer yet ends the requests, and nothing comes of them", async () => {
    const stage = new Stage();
    stage.tickets = () => null;
    stage.client.start();
    stage.client.stop();
    await pass(60_000);
    expect(stage.aborted.map((request) => request.split("?")[0])).toEqual(["POST /v1/tickets", "GET /v1/live/snapshot"]);
    expect(stage.connections).toEqual([{ state: "connecting" }]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("leaves an answer that was being read unheard", async () => {
    const stage = new Stage();
    let late: (answer: unknown) => void = () => {};
    stage.snapshot = () => ({ status: 200, body: new Promise((resolve) => (late = resolve)) });
    await stage.open();
    stage.client.stop();
    late(at(START + 1, 5));
    await settle();
    expect(stage.series).toEqual([]);
  });
});

describe("silence", () => {
  it("makes the numbers stale after 15 s, and ends the connection after 40 s", async () => {
    const stage = await live();
    await pass(15_000);
    expect(stage.state).toBe("live");
    await pass(1_000);
    expect(stage.connection).toEqual({ state: "stale", since: (START + 1) * 1_000 });
    stage.say(delta(START + 17, 6));
    expect(stage.state).toBe("live");
    await pass(41_000);
    expect(stage.state).toBe("reconnecting");
    expect(stage.sockets[0]?.closed).toBe(true);
    await pass(1_000);
    stage.socket.open();
    expect(stage.socket.sent[0]).toMatchObject({ since: START + 17 });
  });

  it("is longer at a slower pace, which is shown", async () => {
    const stage = await live();
    stage.say({ type: "announce", reason: "degraded", refresh_seconds: 10 });
    stage.say(delta(START + 2, 6));
    expect(stage.connection).toEqual({ state: "live", transport: "websocket", every: 10_000 });
    await pass(20_000);
    expect(stage.state).toBe("live");
    await pass(1_000);
    expect(stage.state).toBe("stale");
    stage.say({ type: "announce", reason: "normal", refresh_seconds: 2 });
    stage.say(delta(START + 30, 6));
    expect(stage.connection).toEqual({ state: "live", transport: "websocket" });
    await pass(16_000);
    expect(stage.state).toBe("stale");
  });

  it("of a store that is away makes what is held stale, and the connection stays", async () => {
    const stage = await live();
    stage.say(AWAY);
    expect(stage.connection).toEqual({ state: "stale", since: (START + 1) * 1_000 });
    for (let second = 0; second < 60; second += 2) {
      await pass(2_000);
      stage.say(AWAY);
    }
    expect(stage.connections.at(-1)?.state).toBe("stale");
    expect(stage.sockets).toHaveLength(1);
    stage.say(delta(START + 62, 6));
    expect(stage.state).toBe("live");
  });

  it("of a machine that slept is noticed at once", async () => {
    const stage = await live();
    sleep(3_600_000);
    await pass(1_000);
    expect(stage.sockets).toHaveLength(2);
    expect(stage.sockets[0]?.closed).toBe(true);
    expect(stage.state).toBe("connecting");
    stage.socket.open();
    expect(stage.socket.sent[0]).toMatchObject({ since: START + 1 });
  });

  it("of timers that a browser slows down is none, as long as messages come", async () => {
    const stage = await live();
    sleep(60_000);
    stage.say(delta(START + 60, 6));
    await pass(1_000);
    expect(stage.sockets).toHaveLength(1);
    expect(stage.state).toBe("live");
  });

  it("before a try does not outlast a sleep", async () => {
    const stage = await live();
    stage.tickets = () => "down";
    stage.socket.cut();
    await pass(60_000);
    expect(stage.state).toBe("reconnecting");
    const tried = stage.count("POST");
    stage.tickets = () => null;
    sleep(3_600_000);
    await pass(1_000);
    expect(stage.count("POST")).toBe(tried + 1);
  });
});

describe("a refusal", () => {
  it.each(["read_key_revoked", "read_key_expired"])("of the key ends it (%s)", async (code) => {
    const stage = await live();
    stage.say({ type: "error", code, message: "No more." });
    expect(stage.connection).toEqual({ state: "denied", failure: { code, message: "No more." } });
    stage.socket.cut();
    stage.switchTo(true);
    await pass(300_000);
    expect(stage.state).toBe("denied");
    expect(stage.sockets).toHaveLength(1);
    stage.client.start();
    await settle();
    expect(stage.state).toBe("connecting");
    expect(stage.sockets).toHaveLength(2);
  });

  it.each([
    [401, "read_key_missing"],
    [403, "read_key_unknown"],
    [403, "origin_not_allowed"],
  ])("of a request with %d %s is told once, and nothing is tried", async (status, code) => {
    const stage = new Stage();
    stage.tickets = stage.snapshot = () => REFUSED(status, code);
    stage.client.start();
    await pass(120_000);
    expect(stage.connections).toEqual([
      { state: "connecting" },
      { state: "denied", failure: { code, message: `It is ${code}.` } },
    ]);
    expect(stage.requests).toHaveLength(2);
    expect(stage.failures).toEqual([]);
  });

  it.each(["", "clé\u200b", "a b"])("is what a key gets that no header can hold (%j)", async (key) => {
    const stage = new Stage({}, key);
    stage.client.start();
    await settle();
    expect(stage.connection).toMatchObject({ state: "denied", failure: { code: "read_key_unknown" } });
    expect(stage.requests).toEqual([]);
  });

  it("for too many requests is honoured for as long as it says", async () => {
    const stage = new Stage();
    stage.tickets = () => REFUSED(429, "rate_limited", "7");
    stage.client.start();
    await settle();
    expect(stage.wait).toBe(7_750);
    // A change of mind is no reason to come sooner.
    stage.client.subscribe({ filter: { country: "DE" } });
    await pass(6_999);
    expect(stage.count("POST")).toBe(1);
    await pass(751);
    expect(stage.count("POST")).toBe(2);
  });

  it("of a wish is told, and another wish is heard at once", async () => {
    const stage = await live();
    stage.client.subscribe({ filter: { country: "X".repeat(999) } });
    stage.say({ type: "error", code: "parameter_invalid", message: "Too long." });
    expect(stage.failures).toEqual([{ code: "parameter_invalid", message: "Too long." }]);
    stage.socket.cut();
    expect(stage.state).toBe("reconnecting");
    stage.client.subscribe({});
    await settle();
    expect(stage.sockets).toHaveLength(2);
  });

  it("of a part that the key does not open is no refusal of the key", async () => {
    const stage = new Stage({ filter: { country: "US" } });
    stage.snapshot = () => REFUSED(403, "filter_not_allowed");
    await stage.open();
    expect(stage.state).toBe("connecting");
  });
});

describe("the network", () => {
  it("being away is shown, and its coming back noticed", async () => {
    const stage = await live();
    stage.switchTo(false);
    expect(stage.state).toBe("offline");
    expect(stage.socket.closed).toBe(true);
    await pass(120_000);
    expect(stage.sockets).toHaveLength(1);
    stage.switchTo(true);
    expect(stage.state).toBe("connecting");
    await settle();
    stage.socket.open();
    expect(stage.socket.sent[0]).toMatchObject({ since: START + 1 });
  });

  it("being away at the start is shown, and nothing is asked for", async () => {
    const stage = new Stage();
    stage.online = false;
    stage.client.start();
    await pass(60_000);
    expect(stage.connections).toEqual([{ state: "offline" }]);
    expect(stage.requests).toEqual([]);
  });

  it("coming back while all is well changes nothing", async () => {
    const stage = await live();
    stage.switchTo(true);
    await settle();
    expect(stage.sockets).toHaveLength(1);
    expect(stage.state).toBe("live");
  });
});

describe("another wish", () => {
  const german = { country: "DE" };

  it("is said on the same socket, and only its own answer is taken", async () => {
    const stage = await live();
    stage.client.subscribe({ filter: german });
    expect(stage.socket.sent).toHaveLength(2);
    expect(stage.socket.sent[1]).toMatchObject({ filter: german });
    expect(stage.socket.sent[1]).not.toHaveProperty("since");
    stage.say(delta(START + 2, 6)); // was under way
    stage.say(at(START + 2, 6));
    expect(stage.series).toHaveLength(1);
    stage.say(at(START + 1, 2, { filter: german })); // another feed was read sooner
    expect(stage.series.at(-1)).toMatchObject({ filter: german, asOf: START + 1 });
    stage.say(delta(START + 3, 3, { filter: german }));
    expect(stage.series).toHaveLength(3);
    expect(stage.sockets).toHaveLength(1);
  });

  it("back to all is not answered by what was still under way", async () => {
    const stage = await live();
    stage.client.subscribe({ filter: german });
    stage.client.subscribe({});
    stage.say(at(START + 2, 2, { filter: german }));
    stage.say(delta(START + 3, 3, { filter: german }));
    stage.say(delta(START + 3, 8)); // of the first subscription; there is no snapshot yet
    expect(stage.series).toHaveLength(1);
    stage.say(at(START + 3, 8));
    expect(stage.series.at(-1)).toMatchObject({ filter: {}, asOf: START + 3 });
  });

  it("of other columns is not answered by those before", async () => {
    const stage = await live();
    stage.client.subscribe({ metrics: ["bots"] });
    stage.say(at(START + 2, 6));
    expect(stage.series).toHaveLength(1);
    stage.say(numbers("snapshot", START + 2, [], {}, ["bots"]));
    expect(Object.keys(stage.series.at(-1)?.columns ?? {})).toEqual(["bots"]);
  });

  it("with a key of a part has that part in its answers", async () => {
    const stage = new Stage();
    await stage.open();
    stage.say(at(START + 1, 5, { filter: { device: "tv" } }));
    stage.client.subscribe({ filter: german });
    stage.say(at(START + 2, 2, { filter: german }));
    expect(stage.series).toHaveLength(1);
    stage.say(at(START + 2, 2, { filter: { country: "DE", device: "tv" } }));
    expect(stage.series).toHaveLength(2);
  });

  it("that is the same is not said again", async () => {
    const stage = await live();
    stage.client.subscribe({ filter: {}, metrics: [...USUAL].reverse() });
    expect(stage.socket.sent).toHaveLength(1);
  });

  it("before the socket is open is the one that is said, with numbers of its own", async () => {
    const stage = new Stage();
    const bodies = [at(START, 5), at(START, 2, { filter: german })];
    stage.snapshot = () => ({ status: 200, body: bodies[stage.count("GET") - 1] });
    stage.client.start();
    stage.client.subscribe({ filter: german });
    await settle();
    expect(stage.count("GET")).toBe(2);
    expect(stage.series.map(({ filter }) => filter)).toEqual([german]);
    stage.socket.open();
    expect(stage.socket.sent).toHaveLength(1);
    expect(stage.socket.sent[0]).toMatchObject({ filter: german, since: START });
  });
});

describe("a delta without its snapshot", () => {
  it("makes it ask for one, once", async () => {
    const stage = await live();
    stage.socket.cut();
    await pass(750);
    stage.socket.open();
    stage.say(delta(START + 2, 1, { project: "other" })); // what is held is of no use for it
    expect(stage.socket.sent.map(({ since }) => since)).toEqual([START + 1, undefined]);
    stage.say(delta(START + 3, 1, { project: "other" }));
    expect(stage.socket.sent).toHaveLength(2);
    stage.say(at(START + 4, 1, { project: "other" }));
    expect(stage.series.at(-1)).toMatchObject({ project: "other", asOf: START + 4 });
  });
});

describe("a ticket", () => {
  it("that a connection was sent is used for the next, once, and spares a request", async () => {
    const stage = await live();
    stage.say({ type: "ticket", ticket: "kept", seconds: 600 });
    stage.socket.cut();
    await pass(750);
    expect(stage.socket.url).toMatch(/ticket=kept$/);
    expect(stage.count("POST")).toBe(1);
    stage.socket.cut();
    await pass(1_500);
    expect(stage.socket.url).not.toMatch(/kept/);
    expect(stage.count("POST")).toBe(2);
  });

  it("is not used when it is too old", async () => {
    const stage = await live();
    stage.say({ type: "ticket", ticket: "kept", seconds: 30 });
    await pass(14_000);
    stage.say(delta(START + 14, 6));
    await pass(12_000);
    stage.socket.cut();
    await pass(750);
    expect(stage.count("POST")).toBe(2);
  });
});

describe("a pause", () => {
  it("of less than 30 s changes nothing", async () => {
    const stage = await live();
    stage.client.pause();
    await pass(14_000);
    stage.client.resume();
    stage.say(delta(START + 14, 6));
    await pass(30_000);
    expect(stage.sockets).toHaveLength(1);
    expect(stage.socket.closed).toBe(false);
  });

  it("lets the connection go, and what was missed comes by one request and the socket", async () => {
    const stage = await live();
    stage.client.pause();
    await pass(30_000);
    expect(stage.socket.closed).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
    stage.switchTo(false);
    stage.switchTo(true);
    stage.client.subscribe({});
    await pass(600_000);
    expect(stage.sockets).toHaveLength(1);
    stage.snapshot = () => ({ status: 200, body: delta(START + 630, 9) });
    stage.client.resume();
    await settle();
    expect(stage.requests.at(-1)).toContain(`since=${START + 1}`);
    expect(stage.series.at(-1)?.time.at(-1)).toBe(START + 10 * MINUTE);
    stage.socket.open();
    expect(stage.socket.sent[0]).toMatchObject({ since: START + 630 });
  });

  it("is over with a stop or a start", async () => {
    const stage = await live();
    stage.client.pause();
    stage.client.stop();
    stage.client.resume();
    await pass(60_000);
    expect(stage.sockets).toHaveLength(1);
    stage.client.start();
    await pass(29_000);
    expect(stage.socket.closed).toBe(false);
  });
});
