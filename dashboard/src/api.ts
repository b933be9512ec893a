/** Questions to the service's own addresses, with the read key. */

const WITHIN = 20_000; // ms

/** An answer, or why there is none: a code of the service, "" when it did not answer. */
export type Answer<T> = { ok: true; body: T } | { ok: false; code: string; message: string };

export type Ask = <T>(path: string, body?: object) => Promise<Answer<T>>;

interface Envelope {
  error?: { code?: string; message?: string };
}

/** With a `body` it is a POST. Never throws. */
export async function ask<T>(key: string | null, path: string, body?: object): Promise<Answer<T>> {
  try {
    const headers: Record<string, string> = key === null ? {} : { "X-Read-Key": key };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const response = await fetch(path, {
      headers, signal: AbortSignal.timeout(WITHIN),
      ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }),
    });
    const said: unknown = await response.json();
    if (response.ok) return { ok: true, body: said as T };
    const { error } = said as Envelope;
    return { ok: false, code: error?.code ?? "", message: error?.message ?? response.statusText };
  } catch {
    // no network, no time, no JSON: all the same to who asked
    return { ok: false, code: "", message: "The service does not answer." };
  }
}
