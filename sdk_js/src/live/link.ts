/** A connection by whichever transport: what it needs, and what is heard of it. */

import type { Cancel } from "./environment.js";
import { Refusal, type Service } from "./http.js";
import type { Tickets } from "./tickets.js";
import type { Message } from "./types.js";
import type { Question } from "./wish.js";

export const FIRST_WITHIN = 15_000; // ms from the ticket to the first message

/** Why a connection is at its end; it says it once, and nothing after it. */
export interface Ending {
  readonly refusal: Refusal | null; // null: it was cut, or never came about
  readonly blocked: boolean; // a good ticket was had, and yet no message came
}

export interface Line {
  readonly service: Service;
  readonly tickets: Tickets;
  question(): Question; // asked whenever it is put
  heard(message: Message): void;
  ended(ending: Ending): void;
}

export interface Link {
  /** Put the question anew; false: that takes another connection. */
  ask(): boolean;
  /** Let it go; nothing is heard of it any more. */
  close(): void;
}

export type Open = (line: Line) => Link;

/** `heard` takes null for what is not understood; `lost` may be called more than once. */
type OpenWith = (ticket: string, heard: (message: Message | null) => void, lost: () => void) => Link;

/** A link that takes a ticket, and whose first message has to come soon. */
export function ticketed(line: Line, open: OpenWith): Link {
  const { environment } = line.service;
  const buying = new AbortController();
  let opened: Link | null = null;
  let cancel: Cancel = () => {};
  let over = false;
  let silent = true;

  function close(): void {
    over = true;
    cancel();
    buying.abort();
    opened?.close();
  }
  function end(ending: Ending): void {
    if (over) return;
    close();
    line.ended(ending);
  }
  function heard(message: Message | null): void {
    if (over || message === null) return;
    silent = false;
    cancel();
    line.heard(message);
  }

  line.tickets.take(buying.signal).then(
    ({ text, bought }) => {
      if (over) return;
      const lost = () => end({ refusal: null, blocked: silent && bought });
      cancel = environment.after(FIRST_WITHIN, lost);
      try {
        opened = open(text, heard, lost);
      } catch {
        lost(); // as of a page that may not open one at all
      }
    },
    (error: unknown) => end({ refusal: error instanceof Refusal ? error : null, blocked: false }),
  );
  return { ask: () => opened?.ask() ?? true, close };
}
