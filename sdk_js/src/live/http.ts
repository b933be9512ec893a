/** One request of the service with the key, answered by JSON or refused. */

import type { Environment } from "./environment.js";
import type { Failure } from "./types.js";

const WITHIN = 12_000; // ms; the service answers within 10 s, if only that it cannot
const LONGEST = 3_600_000; // ms that a Retry-After is honoured for

const UNSENDABLE = { code: "read_key_unknown", message: "A read key has no such characters." };

/** Where the service is, and with what right it is asked. */
export interface Service {
  readonly environment: Environment;
  readonly origin: string;
  readonly key: string;
}

/** The service said no. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly failure: Failure,
    readonly retryAfter: number, // ms; 0: it did not say
  ) {
    super(failure.message);
  }

  /** Whether the key opens nothing; a part of the numbers that it does not open is another thing. */
  get denied(): boolean {
    return (this.status === 401 || this.status === 403) && this.failure.code !== "filter_not_allowed";
  }

  /** Whether the same question gets the same answer at any time. */
  get final(): boolean {
    return this.status >= 400 && this.status < 500 && this.status !== 408 && this.status !== 429;
  }
}

/** The JSON of an answer. Rejects with a Refusal, or with what fetch rejects with. */
export async function ask(service: Service, method: string, path: string, signal: AbortSignal): Promise<unknown> {
  const { environment, key } = service;
  if (!/^[\x21-\x7e]+$/.test(key)) throw new Refusal(403, UNSENDABLE, 0);
  const ended = new AbortController();
  const end = () => ended.abort();
  const cancel = environment.after(WITHIN, end);
  signal.addEventListener("abort", end);
  try {
    const response = await environment.fetch(address(service, path), {
      method,
      headers: { "X-Read-Key": key },
      signal: ended.signal,
    });
    if (response.ok) return await response.json();
    const said = response.headers.get("Retry-After");
    throw new Refusal(response.status, await failure(response), retryAfter(said, environment.now()));
  } finally {
    cancel();
    signal.removeEventListener("abort", end);
  }
}

/** Of a path of the service. */
export function address({ origin }: Service, path: string): string {
  return origin.replace(/\/$/, "") + path;
}

/** ms of a Retry-After, which is seconds or a date. */
export function retryAfter(said: string | null, now: number): number {
  if (said === null) return 0;
  const seconds = Number(said);
  const wait = Number.isNaN(seconds) ? Date.parse(said) - now : seconds * 1_000;
  return wait > 0 ? Math.min(wait, LONGEST) : 0; // NaN: no date either
}

/** What an answer's envelope says; whatever stands before the service has none. */
async function failure(response: Response): Promise<Failure> {
  try {
    const { error } = (await response.json()) as { error: Failure };
    return { code: String(error.code), message: String(error.message) };
  } catch {
    return { code: "unknown", message: `The server answered ${response.status}.` };
  }
}
