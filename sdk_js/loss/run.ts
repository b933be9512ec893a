/** One run of a case: a site of its own, its pages, and what they have captured. */

import type { BrowserContext, Page } from "playwright-core";
import type { Action, Proxy } from "./proxy.js";

export const SETTLE = 1_500; // ms, in which all should come that comes without another visit
const RETURN = 60_000; // ms, that a returning visitor stays at most

export const sleep = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

export class Run {
  readonly sent: string[] = []; // `props.n` of what was captured
  returned = false; // it took another visit

  constructor(
    readonly id: string,
    readonly context: BrowserContext,
    readonly proxy: Proxy,
    readonly here: string,
    readonly there: string,
  ) {}

  /** What happens to requests from now on. */
  network(action: Action | (() => Action)): void {
    this.proxy.actions.set(this.id, typeof action === "function" ? action : () => action);
  }

  get address(): string {
    return `${this.here}/run/${this.id}`;
  }

  async open(): Promise<Page> {
    const page = await this.context.newPage();
    await page.goto(this.address);
    return page;
  }

  /** Capture events and, in the same task, do what `then` says. */
  async send(page: Page, count: number, then = "", pad = 0): Promise<void> {
    const from = this.sent.length;
    for (let n = from; n < from + count; n++) this.sent.push(`${this.id}:${n}`);
    const done = page.evaluate(`send(${from}, ${count}, ${pad}); ${then}`);
    // What leaves the page ends the call, too.
    await (then ? done.catch(() => {}) : done);
  }

  /** All that was captured is answered. */
  async flushed(page: Page): Promise<void> {
    const all = await page.evaluate(`streamlens.flush(${RETURN})`);
    if (!all) throw new Error(`${this.id}: not answered within ${RETURN} ms`);
  }

  /** Closes all tabs but the window's first one. */
  async leave(): Promise<void> {
    for (const page of this.context.pages().slice(1)) await page.close();
  }

  /** Everybody leaves; whether all has come is looked at, and then the visitor comes back. */
  async end(): Promise<void> {
    await this.leave();
    const began = Date.now();
    while (this.missing && Date.now() - began < SETTLE) await sleep(50);
    this.returned = this.missing > 0;
    this.network({ kind: "pass" });
    await this.context.setOffline(false);
    const page = await this.open();
    const until = Date.now() + RETURN;
    await this.flushed(page);
    while (this.missing && Date.now() < until) await sleep(200);
    await this.flushed(page);
  }

  get missing(): number {
    return this.sent.length - this.proxy.taken(this.id).size;
  }
}
