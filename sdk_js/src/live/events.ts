/** The server-sent events of /v1/live/sse. */

import { address } from "./http.js";
import { ticketed, type Open } from "./link.js";
import { parse } from "./messages.js";
import { parameters } from "./wish.js";

export const openEvents: Open = (line) =>
  ticketed(line, (ticket, heard, lost) => {
    const { EventSource } = line.service.environment;
    if (EventSource === undefined) throw new TypeError("no EventSource");
    const said = parameters(line.question());
    said.set("ticket", ticket);
    const source = new EventSource(`${address(line.service, "/v1/live/sse")}?${said}`);
    source.onmessage = ({ data }) => heard(parse(String(data)));
    source.onerror = lost; // by itself it would come back with a ticket that was used
    return {
      ask: () => false, // its question stands in its address
      close() {
        source.onmessage = source.onerror = null;
        source.close();
      },
    };
  });
