/** The WebSocket of /v1/live. */

import { address } from "./http.js";
import { ticketed, type Open } from "./link.js";
import { parse } from "./messages.js";
import { subscription } from "./wish.js";

const OPEN = 1; // its readyState

export const openSocket: Open = (line) =>
  ticketed(line, (ticket, heard, lost) => {
    const { WebSocket } = line.service.environment;
    if (WebSocket === undefined) throw new TypeError("no WebSocket");
    const url = address(line.service, "/v1/live").replace(/^http/, "ws");
    const socket = new WebSocket(`${url}?ticket=${encodeURIComponent(ticket)}`);
    const ask = () => {
      if (socket.readyState === OPEN) socket.send(subscription(line.question()));
      return true; // or it is when it opens
    };
    socket.onopen = ask;
    socket.onmessage = ({ data }) => heard(parse(String(data)));
    socket.onclose = socket.onerror = lost; // Node says no close of one that never opened
    return {
      ask,
      close() {
        socket.onopen = socket.onmessage = socket.onclose = socket.onerror = null;
        socket.close();
      },
    };
  });
