/** `init` in Node, against a server. */

import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type Collector, init, type Options } from "../../src/collector/index.js";
import type { Body } from "./fakes.js";

let server: Server;
let bodies: Body[];
let statuses: number[];
let clients: Collector[];

beforeEach(async () => {
  bodies = [];
  statuses = [];
  clients = [];
  server = createServer((request, answer) => {
    let body = "";
    request.on("data", (chunk) => (body += chunk));
    request.on("end", () => {
      bodies.push(JSON.parse(body));
      answer.writeHead(statuses.shift() ?? 202).end('{"accepted":1,"rejected":[]}');
    });
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
});

afterEach(async () => {
  await Promise.all(clients.map((client) => client.shutdown(0)));
  server.closeAllConnections();
  server.close();
  vi.restoreAllMocks();
});

function started(options: Partial<Options> = {}): Collector {
  const { port } = server.address() as AddressInfo;
  const client = init({ key: "k", endpoint: `http://127.0.0.1:${port}`, userId: "u", ...options });
  clients.push(client);
  return client;
}

const events = () => bodies.flatMap((body) => body.events);

test("events of a server: of this user or that, numbered, flushed", async () => {
  const client = started();
  client.track("sign_up", { plan: "x", category: "account" });
  client.track("sign_up", {}, { userId: "v", sessionId: "s", url: "https://a.example/?kept" });
  client.purchase("19.99", "EUR", { category: "shoes" });
  expect(await client.flush()).toBe(true);
  expect(bodies).toHaveLength(1);
  expect(events()).toMatchObject([
    { type: "sign_up", user_id: "u", category: "account", props: { plan: "x" } },
    { type: "sign_up", user_id: "v", session_id: "s", url: "https://a.example/?kept" },
    { type: "purchase", user_id: "u", amount: "19.99", currency: "EUR", category: "shoes" },
  ]);
  expect(events().map(({ id }) => id.slice(14, 18))).toEqual(["7000", "7001", "7002"]);
  expect(events().every((event) => !("url" in event) || event.url === "https://a.example/?kept")).toBe(true);
});

test("many events fill batches, none is lost", async () => {
  const client = started({ batchEvents: 500 });
  for (let n = 0; n < 1_750; n++) client.track("tick", { n });
  expect(await client.flush()).toBe(true);
  expect(bodies.map((body) => body.events.length)).toEqual([500, 500, 500, 250]);
  expect(new Set(events().map(({ id }) => id)).size).toBe(1_750);
});

test("a batch is sent again when the server fails, and shutdown waits for it", async () => {
  statuses = [503, 500, 202];
  const client = started();
  client.track("tick");
  expect(await client.shutdown()).toBe(true);
  expect(bodies).toHaveLength(3);
  expect(new Set(bodies.map(({ batch_id }) => batch_id)).size).toBe(1);
  client.track("tock");
  expect(await client.flush(100)).toBe(true);
  expect(bodies).toHaveLength(3);
});

test("nothing ever throws; what is wrong is said", async () => {
  const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
  const client = started();
  client.track("Not a type");
  client.track(undefined as unknown as string);
  client.track("bad", { get bad(): string { throw new Error("bad"); } });
  client.purchase(Number.NaN, "EUR");
  client.purchase(undefined as unknown as number, "EUR");
  client.track("large", Object.fromEntries(Array.from({ length: 32 }, (_, n) => [`p${n}`, "€".repeat(1_024)])));
  client.identify(7 as unknown as string);
  client.track("ok", null as unknown as undefined);
  expect(await client.flush()).toBe(true);
  expect(events()).toMatchObject([{ type: "ok", user_id: "7" }]);
  expect(warn).toHaveBeenCalledTimes(6);
});

test("who opts out is left alone, and may come back", async () => {
  const client = started();
  client.track("one");
  client.optOut();
  client.track("two");
  expect(await client.flush()).toBe(true);
  expect(bodies).toEqual([]);
  client.optIn();
  client.track("three");
  expect(await client.flush()).toBe(true);
  expect(events().map(({ type }) => type)).toEqual(["three"]);
});
