import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { day, numbers, START } from "./numbers.js";
import { pass, REFUSED, settle, Stage } from "./stage.js";

const at = (asOf: number, count: number, more: object = {}) =>
  numbers("snapshot", asOf, day(asOf, new Map([[START, count]])), more);
const delta = (asOf: number, count: number, more: object = {}) =>
  numbers("delta", asOf, [{ start: START, status: "partial", count }], more);

beforeEach(() => {
  vi.useFakeTimers({ now: START * 1_000 });
});
afterEach(() => {
  vi.useRealTimers();
});

/** What never gets through was tried twice; then the event stream is open. */
async function streaming(stage = new Stage()): Promise<Stage> {
  stage.client.start();
  await settle();
  stage.socket.cut();
  await pass(750);
  stage.socket.cut();
  await settle();
  return stage;
}

/** Then neither did the stream; numbers are polled for. */
async function polling(stage = new Stage()): Promise<Stage> {
  stage.snapshot = () => ({ status: 200, body: at(START + 1, 5) });
  await streaming(stage);
  stage.stream.cut();
  await pass(1_500);
  stage.stream.cut();
  await settle();
  return stage;
}

describe("event streams", () => {
  it("come after two sockets that nothing came through, with a ticket of their own", async () => {
    const stage = new Stage({ filter: { country: "DE" }, recent: true });
    stage.snapshot = () => ({ status: 200, body: at(START + 1, 5, { filter: { country: "DE" } }) });
    await streaming(stage);
    expect(stage.sockets).toHaveLength(2);
    const url = new URL(stage.stream.url);
    expect(url.pathname).toBe("/v1/live/sse");
    expect(Object.fromEntries(url.searchParams)).toMatchObject({
      ...{ filter: "country:DE", recent: "1", since: String(START + 1) },
    });
    expect(url.searchParams.get("ticket")).toMatch(/^t\d$/);
    stage.stream.say(delta(START + 2, 6, { filter: { country: "DE" } }));
    expect(stage.connection).toEqual({ state: "live", transport: "sse" });
  });

  it.each(["cut before it opens", "silent for 15 s"])("come after a socket that is %s", async (how) => {
    const stage = new Stage();
    stage.client.start();
    for (let twice = 0; twice < 2; twice += 1) {
      await settle();
      if (how.startsWith("cut")) stage.socket.cut();
      else {
        stage.socket.open();
        await pass(15_000);
        expect(stage.socket.closed).toBe(true);
      }
      await pass(750);
    }
    expect(stage.sockets).toHaveLength(2);
    expect(stage.streams).toHaveLength(1);
  });

  it("do not come when there are no tickets, nor after sockets that something came through", async () => {
    const stage = new Stage();
    stage.tickets = () => "down";
    stage.client.start();
    await pass(60_000);
    stage.tickets = () => ({ status: 201, body: { ticket: "t" } });
    await pass(30_000);
    stage.socket.open();
    stage.say({ type: "error", code: "store_unavailable", message: "m" });
    for (let more = 0; more < 3; more += 1) {
      stage.socket.cut();
      await pass(30_000);
      stage.socket.open();
      stage.say(at(START + 1, 5));
    }
    expect(stage.streams).toHaveLength(0);
    expect(stage.state).toBe("live");
  });

  it("are not the answer to a ticket from before a restart that is not good any more", async () => {
    const stage = new Stage();
    await stage.open();
    stage.say({ type: "ticket", ticket: "kept", seconds: 600 });
    stage.socket.cut();
    await pass(750);
    stage.socket.cut(); // the kept one was refused
    await pass(1_500);
    stage.socket.cut(); // and this is the first time that nothing came
    await pass(3_000);
    expect(stage.sockets).toHaveLength(4);
    expect(stage.streams).toHaveLength(0);
  });

  it("come again with another ticket and `since`, and anew for another wish", async () => {
    const stage = await streaming();
    stage.stream.say(at(START + 1, 5));
    stage.stream.cut();
    expect(stage.state).toBe("reconnecting");
    await pass(1_500);
    const [first, again] = stage.streams.map(({ url }) => new URL(url).searchParams);
    expect(again?.get("since")).toBe(String(START + 1));
    expect(again?.get("ticket")).not.toBe(first?.get("ticket"));
    stage.stream.say(delta(START + 2, 5));
    stage.client.subscribe({ filter: { country: "DE" } });
    await settle();
    expect(stage.streams).toHaveLength(3);
    expect(stage.streams[1]?.closed).toBe(true);
    expect(new URL(stage.stream.url).searchParams.get("since")).toBeNull();
  });
});

describe("polling", () => {
  it("comes after two streams that nothing came through, with `since`, every 5 s", async () => {
    const stage = await polling();
    expect(stage.connection).toEqual({ state: "live", transport: "polling" });
    const asked = stage.count("GET");
    stage.snapshot = () => ({ status: 200, body: delta(START + 6, 8) });
    await pass(5_000);
    expect(stage.count("GET")).toBe(asked + 1);
    expect(stage.requests.at(-1)).toContain(`since=${START + 1}`);
    expect(stage.series.at(-1)?.columns.events?.at(-1)).toBe(8);
    await pass(4_999);
    expect(stage.count("GET")).toBe(asked + 1);
  });

  it("asks at once for another wish, and does not take the answer to the one before", async () => {
    const stage = await polling();
    let late: (answer: unknown) => void = () => {};
    stage.snapshot = () => ({ status: 200, body: new Promise((resolve) => (late = resolve)) });
    await pass(5_000);
    const before = stage.series.length;
    stage.snapshot = () => ({ status: 200, body: at(START + 2, 2, { filter: { country: "DE" } }) });
    stage.client.subscribe({ filter: { country: "DE" } });
    late(at(START + 9, 9));
    await settle();
    expect(stage.series.slice(before).map(({ filter }) => filter)).toEqual([{ country: "DE" }]);
    const asked = stage.count("GET");
    await pass(5_000);
    expect(stage.count("GET")).toBe(asked + 1);
  });

  it("does not hear an answer that was being read at a stop, nor goes on", async () => {
    const stage = await polling();
    let late: (answer: unknown) => void = () => {};
    stage.snapshot = () => ({ status: 200, body: new Promise((resolve) => (late = resolve)) });
    await pass(5_000);
    const before = [stage.series.length, stage.requests.length];
    stage.client.stop();
    late(at(START + 9, 9));
    await pass(60_000);
    expect([stage.series.length, stage.requests.length]).toEqual(before);
  });

  it("says when the store is away, and goes on when it is asked to", async () => {
    const stage = await polling();
    stage.snapshot = () => REFUSED(503, "store_unavailable", "8");
    await pass(5_000);
    expect(stage.connection).toEqual({ state: "stale", since: (START + 1) * 1_000 });
    stage.snapshot = () => ({ status: 200, body: delta(START + 14, 8) });
    await pass(7_999);
    expect(stage.state).toBe("stale");
    await pass(1);
    expect(stage.state).toBe("live");
  });

  it("waits as long as it is told, and longer with every failure", async () => {
    const stage = await polling();
    await pass(15_000); // it has settled
    stage.snapshot = () => REFUSED(429, "rate_limited", "20");
    await pass(5_000);
    expect(stage.wait).toBe(20_750);
    stage.snapshot = () => "down";
    await pass(20_750);
    expect(stage.wait).toBe(1_500);
    await pass(1_500);
    expect(stage.wait).toBe(3_000);
  });

  it("ends with a key that is revoked, and tells of a wish that is refused", async () => {
    const stage = await polling();
    stage.snapshot = () => REFUSED(400, "parameter_invalid");
    await pass(5_000);
    expect(stage.failures.map(({ code }) => code)).toEqual(["parameter_invalid"]);
    stage.snapshot = () => REFUSED(403, "read_key_revoked");
    await pass(30_000);
    expect(stage.state).toBe("denied");
    const asked = stage.requests.length;
    await pass(600_000);
    expect(stage.requests).toHaveLength(asked);
  });
});

describe("better transports", () => {
  it("are tried again after minutes, while the lesser one goes on", async () => {
    const stage = await streaming();
    for (let second = 0; second < 182; second += 2) {
      stage.stream.say(at(START + second, 5));
      await pass(2_000);
    }
    expect(stage.sockets).toHaveLength(3);
    const said = stage.connections.length;
    stage.socket.cut(); // still blocked: nobody sees it
    stage.stream.say(delta(START + 190, 6));
    expect(stage.connections).toHaveLength(said);
    expect(stage.connection).toEqual({ state: "live", transport: "sse" });
    for (let second = 0; second < 182; second += 2) {
      stage.stream.say(at(START + 200 + second, 5));
      await pass(2_000);
    }
    expect(stage.sockets).toHaveLength(4);
    stage.socket.open();
    expect(stage.socket.sent[0]).toHaveProperty("since");
    expect(stage.stream.closed).toBe(false);
    stage.say(delta(START + 400, 7));
    expect(stage.stream.closed).toBe(true);
    expect(stage.connection).toEqual({ state: "live", transport: "websocket" });
    expect(stage.series.at(-1)?.columns.events?.at(-7)).toBe(7);
    // And it is a socket again that is tried next.
    stage.socket.cut();
    await pass(1_500);
    expect(stage.sockets).toHaveLength(5);
  });

  it("than polling are tried in their order", async () => {
    const stage = await polling();
    const before = [stage.sockets.length, stage.streams.length];
    await pass(182_000);
    expect(stage.sockets).toHaveLength((before[0] as number) + 1);
    expect(stage.streams).toHaveLength(before[1] as number);
    stage.socket.cut();
    await settle();
    expect(stage.streams).toHaveLength((before[1] as number) + 1);
    stage.stream.say(at(START + 400, 7));
    expect(stage.connection).toEqual({ state: "live", transport: "sse" });
    const asked = stage.count("GET");
    await pass(10_000);
    expect(stage.count("GET")).toBe(asked);
  });

  it("that are being tried are let go for another wish, which they were not told", async () => {
    const stage = await polling();
    await pass(182_000);
    stage.socket.open();
    stage.snapshot = () => ({ status: 200, body: at(START + 400, 2, { filter: { country: "DE" } }) });
    stage.client.subscribe({ filter: { country: "DE" } });
    await settle();
    expect(stage.socket.closed).toBe(true);
    expect(stage.connection).toEqual({ state: "live", transport: "polling" });
    expect(stage.series.at(-1)?.filter).toEqual({ country: "DE" });
  });

  it("are tried again with another network", async () => {
    const stage = await streaming();
    stage.stream.say(at(START + 1, 5));
    stage.switchTo(false);
    stage.switchTo(true);
    await settle();
    expect(stage.sockets).toHaveLength(3);
    expect(stage.streams).toHaveLength(1);
  });
});
