/** Tickets: keys do not stand in addresses, so each connection has a ticket that the key buys. */

import { ask, type Service } from "./http.js";

const SPARE = 5_000; // ms for the way to the service

export interface Ticket {
  readonly text: string;
  readonly bought: boolean; // just now, so that it is good; else the connection before was sent it
}

export class Tickets {
  #kept: { text: string; until: number } | null = null;

  constructor(private readonly service: Service) {}

  /** Keep one that an open connection was sent, in place of the one before: it spares a request. */
  keep(text: string, seconds: number): void {
    this.#kept = { text, until: this.service.environment.now() + seconds * 1_000 - SPARE };
  }

  /** One that nobody has used. Rejects as `ask` does. */
  async take(signal: AbortSignal): Promise<Ticket> {
    const kept = this.#kept;
    this.#kept = null;
    if (kept !== null && this.service.environment.now() < kept.until) return { text: kept.text, bought: false };
    const { ticket } = (await ask(this.service, "POST", "/v1/tickets", signal)) as { ticket: string };
    return { text: ticket, bought: true };
  }
}
