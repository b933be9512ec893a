/**
 * What stands between pages and the collector, and does to each run's requests what its case wants.
 *
 * The first part of a request's path is the run.
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export type Action =
  | { kind: "pass"; delay?: number } // ms, before the request goes on
  | { kind: "cut"; after: boolean } // the connection, before or after the collector has the request
  | { kind: "answer"; status: number; retryAfter?: string };

export const PASS: Action = { kind: "pass" };

const CORS = { "access-control-allow-origin": "*", "access-control-expose-headers": "Retry-After" };

export class Proxy {
  readonly actions = new Map<string, () => Action>(); // by run, asked for each request
  readonly #taken = new Map<string, Set<string>>(); // by run: events that the collector has said it has
  readonly #server: Server;
  requests = 0;

  constructor(private readonly collector: string) {
    this.#server = createServer((request, answer) => {
      this.#handle(request, answer).catch((error: unknown) => {
        if (!request.destroyed) console.error("proxy:", error); // else the page is gone, as it should
        answer.destroy();
      });
    });
  }

  async start(): Promise<string> {
    await new Promise<void>((done) => this.#server.listen(0, "127.0.0.1", done));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  taken(run: string): Set<string> {
    let taken = this.#taken.get(run);
    if (!taken) this.#taken.set(run, (taken = new Set()));
    return taken;
  }

  async #handle(request: IncomingMessage, answer: ServerResponse): Promise<void> {
    this.requests++;
    const [, run = "", ...rest] = request.url!.split("/");
    const action = (this.actions.get(run) ?? (() => PASS))();
    if (action.kind === "cut" && !action.after) {
      request.socket.destroy();
      return;
    }
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    if (action.kind === "answer") {
      const headers = action.retryAfter ? { ...CORS, "retry-after": action.retryAfter } : CORS;
      answer.writeHead(action.status, headers).end();
      return;
    }
    if (action.kind === "pass" && action.delay) await new Promise((done) => setTimeout(done, action.delay));
    const reply = await fetch(`${this.collector}/${rest.join("/")}`, {
      method: request.method!,
      headers: { "content-type": request.headers["content-type"] ?? "" },
      body,
    });
    const text = await reply.text();
    if (reply.status === 202) this.#note(run, body.toString());
    else console.error(`proxy: the collector said ${reply.status} ${text}`);
    if (action.kind === "cut") {
      answer.destroy();
      return;
    }
    answer.writeHead(reply.status, { ...CORS, "content-type": "application/json" }).end(text);
  }

  #note(run: string, body: string): void {
    const { events } = JSON.parse(body) as { events: { props?: { n?: string } }[] };
    const taken = this.taken(run);
    for (const { props } of events) if (props?.n) taken.add(props.n);
  }
}
