/** What the service says, read. Kinds, reasons and properties that are not known are left out. */

import type { Message } from "./types.js";

/** Null when it is not understood. */
export function parse(text: string): Message | null {
  try {
    return understood(JSON.parse(text));
  } catch {
    return null; // no JSON: nothing that this client knows
  }
}

/** A value out of JSON as a message; null when it is none. */
export function understood(value: unknown): Message | null {
  const found = value as Message | null;
  switch (found?.type) {
    case "snapshot":
    case "delta":
      return Number.isFinite(found.as_of) && Array.isArray(found.time) ? found : null;
    case "announce":
      if (found.reason === "leaving") return found.reconnect_within_seconds >= 0 ? found : null;
      if (found.reason !== "degraded" && found.reason !== "normal") return null;
      return found.refresh_seconds > 0 ? found : null;
    case "error":
      return typeof found.code === "string" ? found : null;
    case "ticket":
      return typeof found.ticket === "string" && found.seconds > 0 ? found : null;
    default:
      return null;
  }
}
