/** A browser in which time stands still, and a service that a test speaks for. */

import { vi } from "vitest";
import { surroundings, type Environment } from "../../src/live/environment.js";
import { connect, type Connection, type Failure, type LiveClient, type Message, type Series, type Wish } from "../../src/live/index.js";

/** What a request is answered; null: nothing ever, "down": there is no network. */
export type Reply = { status: number; body: unknown; retryAfter?: string } | "down" | null;

export const REFUSED = (status: number, code: string, retryAfter?: string): Reply => ({
  status,
  body: { error: { code, message: `It is ${code}.` } },
  ...(retryAfter !== undefined && { retryAfter }),
});

class FakeSocket {
  readyState = 0;
  closed = false; // by the client
  readonly sent: Record<string, unknown>[] = [];
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;
  onclose: (() => void) | null = null;
  onerror: (() => void) | null = null;

  constructor(readonly url: string) {}

  open(): void {
    this.readyState = 1;
    this.onopen?.();
  }

  say(message: object): void {
    this.onmessage?.({ data: JSON.stringify(message) });
  }

  cut(): void {
    this.readyState = 3;
    this.onerror?.();
    this.onclose?.();
  }

  send(text: string): void {
    this.sent.push(JSON.parse(text) as Record<string, unknown>);
  }

  close(): void {
    this.readyState = 3;
    this.closed = true;
  }
}

class FakeStream {
  closed = false;
  onmessage: ((event: { data: string }) => void) | null = null;
  onerror: (() => void) | null = null;

  constructor(readonly url: string) {}

  say(message: object): void {
    this.onmessage?.({ data: JSON.stringify(message) });
  }

  cut(): void {
    this.onerror?.();
  }

  close(): void {
    this.closed = true;
  }
}

export class Stage {
  readonly client: LiveClient;
  readonly requests: string[] = []; // method and path of each, from the first
  readonly aborted: string[] = [];
  readonly sockets: FakeSocket[] = [];
  readonly streams: FakeStream[] = [];
  readonly connections: Connection[] = [];
  readonly series: Series[] = [];
  readonly failures: Failure[] = [];
  tickets: () => Reply = () => ({ status: 201, body: { ticket: `t${this.requests.length}`, seconds: 30 } });
  snapshot: () => Reply = () => null;
  random = 0.5;
  online = true;
  #network: (() => void) | null = null;

  constructor(wish: Wish = {}, key = "k") {
    const { sockets, streams } = this;
    const environment: Environment = {
      ...surroundings(),
      fetch: (url, init) => this.#fetch(url, init),
      WebSocket: class extends FakeSocket {
        constructor(url: string) {
          super(url);
          sockets.push(this);
        }
      } as unknown as Environment["WebSocket"],
      EventSource: class extends FakeStream {
        constructor(url: string) {
          super(url);
          streams.push(this);
        }
      } as unknown as Environment["EventSource"],
      random: () => this.random,
      online: () => this.online,
      onNetwork: (changed) => {
        this.#network = changed;
        return () => {
          this.#network = null;
        };
      },
    };
    this.client = connect(
      {
        ...{ origin: "https://stats.example", key, wish },
        onSeries: (series) => this.series.push(series),
        onConnection: (connection) => this.connections.push(connection),
        onError: (failure) => this.failures.push(failure),
      },
      environment,
    );
  }

  get connection(): Connection {
    return this.connections.at(-1) as Connection;
  }

  get state(): string {
    return this.connection.state;
  }

  get socket(): FakeSocket {
    return this.sockets.at(-1) as FakeSocket;
  }

  get stream(): FakeStream {
    return this.streams.at(-1) as FakeStream;
  }

  /** Started, and the socket open. */
  async open(): Promise<this> {
    this.client.start();
    await settle();
    this.socket.open();
    return this;
  }

  say(message: Message | object): void {
    this.socket.say(message);
  }

  /** How many ms from now it tries again. */
  get wait(): number {
    const { connection } = this;
    return connection.state === "reconnecting" ? connection.until - Date.now() : Number.NaN;
  }

  switchTo(online: boolean): void {
    this.online = online;
    this.#network?.();
  }

  get listens(): boolean {
    return this.#network !== null;
  }

  count(start: string): number {
    return this.requests.filter((request) => request.startsWith(start)).length;
  }

  #fetch(url: string, { method, signal, headers }: RequestInit): Promise<Response> {
    if (new Headers(headers).get("X-Read-Key") === null) throw new Error("no key");
    const request = `${method} ${url.replace("https://stats.example", "")}`;
    this.requests.push(request);
    const reply = method === "POST" ? this.tickets() : this.snapshot();
    return new Promise((resolve, reject) => {
      signal?.addEventListener("abort", () => {
        this.aborted.push(request);
        reject(new DOMException("aborted", "AbortError"));
      });
      if (reply === "down") reject(new TypeError("fetch failed"));
      else if (reply !== null) resolve(answer(reply));
    });
  }
}

function answer({ status, body, retryAfter }: Exclude<Reply, string | null>): Response {
  const headers = new Headers(retryAfter === undefined ? {} : { "Retry-After": retryAfter });
  // A real one reads its body by steps that a clock which stands still does not make.
  return { ok: status < 300, status, headers, json: async () => body } as Response;
}

/** All that is due now has happened. */
export async function settle(): Promise<void> {
  await vi.advanceTimersByTimeAsync(0);
}

export async function pass(ms: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
}

/** The machine sleeps: its clock goes on, and nothing happens. */
export function sleep(ms: number): void {
  vi.setSystemTime(Date.now() + ms);
}
