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

export class Session {
  #user = "";
  #id = "";
  #next = 0;
  #last = 0;

  constructor(
    private readonly area: Storage | undefined,
    private readonly name: string,
  ) {
    try {
      [this.#user, this.#id, this.#next, this.#last] = JSON.parse(area?.getItem(name) || "") as [string, string, number, number];
    } catch {
      // none yet, or not ours: a new one
    }
  }

  /** The ids of an event of now. */
  stamp(now: number): Stamp {
    this.#user ||= uuid7(now, 0);
    if (!this.#id || now - this.#last > IDLE) {
      this.#id = uuid7(now, 0);
      this.#next = 0;
    }
    this.#last = now;
    return { user_id: this.#user, id: uuid7(now, this.#next++), session_id: this.#id };
  }

  /** From now on events are of this user; of a new anonymous one when there is none. */
  identify(user: string): void {
    this.#user = user;
  }

  save(): void {
    try {
      this.area?.setItem(this.name, JSON.stringify([this.#user, this.#id, this.#next, this.#last]));
    } catch {
      // full: the session lasts as long as the page
    }
  }

  forget(): void {
    this.#user = this.#id = "";
    this.area?.removeItem(this.name);
  }
}
