import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test, vi } from "vitest";
import { connect, retryAfter } from "../../src/collector/transport.js";

const NOW = Date.parse("2026-11-26T08:00:00Z");

test.each([
  ["120", 120_000],
  ["0", 0],
  ["Thu, 26 Nov 2026 08:00:30 GMT", 30_000],
  ["Thu, 26 Nov 2026 07:00:00 GMT", 0],
  ["999999", 3_600_000],
  ["soon", 0],
  ["-5", 0],
  ["", 0],
  [null, 0],
])("Retry-After %j is %i ms", (value, ms) => {
  expect(retryAfter(value, NOW)).toBe(ms);
});

let server: Server | undefined;

async function serve(listener: RequestListener): Promise<string> {
  server = createServer(listener);
  await new Promise<void>((done) => server!.listen(0, "127.0.0.1", done));
  return `http://127.0.0.1:${(server!.address() as AddressInfo).port}`;
}

afterEach(() => {
  server?.closeAllConnections();
  server?.close();
  server = undefined;
  vi.unstubAllGlobals();
});

const answering =
  (status: number, headers: Record<string, string> = {}, said: unknown = { accepted: 1, rejected: [] }): RequestListener =>
  (_, answer) => {
    answer.writeHead(status, headers).end(JSON.stringify(said));
  };

test.each([
  [202, {}, undefined],
  [408, {}, 0],
  [429, { "Retry-After": "3" }, 3_000],
  [500, {}, 0],
  [503, { "Retry-After": "2" }, 2_000],
  [503, {}, 0],
  [400, {}, undefined],
  [403, { "Retry-After": "2" }, undefined],
  [413, {}, undefined],
  [200, {}, 0], // not the collector
])("after %i %j comes %j", async (status, headers, outcome) => {
  const transport = connect(await serve(answering(status, headers)), "k", () => {});
  expect(await transport.post("{}", false)).toBe(outcome);
});

test("a request is simple: no preflight, the key in the address, no cookies", async () => {
  const seen: [string, string, unknown, string][] = [];
  const endpoint = await serve((request, answer) => {
    let body = "";
    request.on("data", (chunk) => (body += chunk));
    request.on("end", () => {
      seen.push([request.method!, request.url!, request.headers["content-type"], body]);
      answer.writeHead(202).end('{"accepted":1,"rejected":[]}');
    });
  });
  await connect(`${endpoint}/`, "a&b", () => {}).post('{"x":"ü"}', false);
  expect(seen).toEqual([["POST", "/v1/events?key=a%26b", "text/plain;charset=UTF-8", '{"x":"ü"}']]);
});

test("no answer is no end", async () => {
  const endpoint = await serve((request) => request.socket.destroy());
  expect(await connect(endpoint, "k", () => {}).post("{}", false)).toBe(0);
});

test("what the collector refuses is said", async () => {
  const warned: unknown[][] = [];
  const rejected = [{ index: 0, code: "amount_invalid", message: "…" }];
  const first = connect(await serve(answering(202, {}, { accepted: 0, rejected })), "k", (...what) => warned.push(what));
  await first.post("{}", false);
  await vi.waitFor(() => expect(warned).toEqual([[{ accepted: 0, rejected }]]));
  server!.close();
  const error = { code: "write_key_unknown", message: "The write key belongs to no project." };
  await connect(await serve(answering(403, {}, { error })), "k", (...what) => warned.push(what)).post("{}", false);
  await vi.waitFor(() => expect(warned[1]).toEqual([{ error }]));
});

test("a browser without beacons, or that refuses one, says so", () => {
  const transport = connect("https://c.example", "k", () => {});
  vi.stubGlobal("navigator", {});
  expect(transport.beacon("x")).toBe(false);
  const sendBeacon = vi.fn((_: string, body: string) => body.length < 3);
  vi.stubGlobal("navigator", { sendBeacon });
  expect([transport.beacon("xx"), transport.beacon("xxx")]).toEqual([true, false]);
  expect(sendBeacon.mock.calls[0]).toEqual(["https://c.example/v1/events?key=k", "xx"]);
});
