/**
 * Who: an anonymous id or the one that the page said, a session, and its sequence number.
 *
 * Kept in sessionStorage, so for one tab and all pages in it; in memory where there is none. After
 * half an hour without events the next one begins a new session.
 */

import { uuid7 } from "./ids.js";

const IDLE = 1_800_000; // ms

export interface Stamp {
  user_id: string;
  id: string; // the event's; its counter is the place in the session
  session_id: string;
}

export interface Session {
  /** The ids of an event of now. */
  stamp(now: number): Stamp;
  /** From now on events are of this user; of a new anonymous one when it is "". */
  identify(user: string): void;
  save(): void;
  forget(): void;
}

export function openSession(area: Storage | undefined, name: string): Session {
  let [user, session, next, last] = ["", "", 0, 0];
  try {
    [user, session, next, last] = JSON.parse(area?.getItem(name) || "") as [string, string, number, number];
  } catch {
    // none yet, or not ours: a new one
  }
  return {
    stamp(now) {
      user ||= uuid7(now, 0);
      if (!session || now - last > IDLE) {
        session = uuid7(now, 0);
        next = 0;
      }
      last = now;
      return { user_id: user, id: uuid7(now, next++), session_id: session };
    },
    identify(named) {
      user = named;
    },
    save() {
      try {
        area?.setItem(name, JSON.stringify([user, session, next, last]));
      } catch {
        // full: the session lasts as long as the page
      }
    },
    forget() {
      user = session = "";
      area?.removeItem(name);
    },
  };
}
