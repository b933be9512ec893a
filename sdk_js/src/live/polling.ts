/** One message for one request of /v1/live/snapshot, and the asking for one after the other. */

import type { Cancel } from "./environment.js";
import { ask, Refusal, type Service } from "./http.js";
import type { Open } from "./link.js";
import { understood } from "./messages.js";
import type { Message } from "./types.js";
import { parameters, type Question } from "./wish.js";

const EVERY = 5_000; // ms from an answer to the next question

/** Null when the answer is not understood. Rejects as `ask` does. */
export async function fetchNumbers(service: Service, question: Question, signal: AbortSignal): Promise<Message | null> {
  return understood(await ask(service, "GET", `/v1/live/snapshot?${parameters(question)}`, signal));
}

export const openPolling: Open = (line) => {
  let asking = new AbortController();
  let cancel: Cancel = () => {};

  function close(): void {
    cancel();
    asking.abort();
  }
  function again(): boolean {
    close();
    void poll();
    return true;
  }
  async function poll(): Promise<void> {
    const { signal } = (asking = new AbortController());
    let message: Message | null;
    let wait = EVERY;
    try {
      message = await fetchNumbers(line.service, line.question(), signal);
    } catch (error) {
      if (signal.aborted) return;
      const refusal = error instanceof Refusal ? error : null;
      if (refusal?.failure.code !== "store_unavailable") {
        line.ended({ refusal, blocked: false });
        return;
      }
      message = { type: "error", ...refusal.failure }; // as the other transports say it
      wait = Math.max(wait, refusal.retryAfter);
    }
    if (signal.aborted) return;
    cancel = line.service.environment.after(wait, again);
    if (message !== null) line.heard(message);
  }

  void poll();
  return { ask: again, close };
};
