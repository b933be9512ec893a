/** How the connection stands, as text. Pure. */

import type { Connection } from "./live";
import type { Zone } from "./zone";

const FIGURE_SPACE = "\u2007"; // as wide as a digit: a countdown does not move what stands beside it

/** For eyes; `now` in ms. */
export function connectionText(connection: Connection, now: number, zone: Zone): string {
  switch (connection.state) {
    case "live":
      return connection.every === undefined ? "live" : `live, every ${connection.every / 1000} s`;
    case "stale":
      return `stale since ${zone.clock(connection.since / 1000)}`;
    case "reconnecting": {
      const seconds = Math.ceil((connection.until - now) / 1000);
      return seconds > 0 ? `reconnecting in ${String(seconds).padStart(2, FIGURE_SPACE)} s` : "reconnecting";
    }
    case "offline":
      return "offline";
    case "denied":
      return "not allowed";
    case "connecting":
      return "connecting";
  }
}

/** For ears: without the seconds. */
export function connectionSaid(connection: Connection): string {
  switch (connection.state) {
    case "live":
      return "Live.";
    case "stale":
      return "No fresh numbers.";
    case "reconnecting":
      return "Connection lost.";
    case "offline":
      return "Offline.";
    case "denied":
      return "Not allowed.";
    case "connecting":
      return "Connecting.";
  }
}
