/** A site and a collector on other origins, and Chromium to look at the site with. */

import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { findOnPath } from "../../loss/path.js";
import type { Body } from "../collector/fakes.js";

export interface Seen {
  type: string;
  url: string;
  user_id: string;
  session_id: string;
  id: string;
  category?: string;
  amount?: string;
  currency?: string;
  props?: Record<string, unknown>;
}

export class Site {
  events: Seen[] = [];
  requests: IncomingMessage[] = [];
  readonly #servers: Server[] = [];
  #browser!: Browser;
  #script!: string;
  #origin = "";
  #collector = "";

  async start(): Promise<void> {
    this.#script = readFileSync("dist/streamlens.iife.js", "utf8"); // what a page gets: built before the tests
    this.#collector = await this.#serve((request, body) => {
      this.requests.push(request);
      this.events.push(...((JSON.parse(body) as Body).events as unknown as Seen[]));
      return ["application/json", `{"accepted":1,"rejected":[]}`, 202];
    });
    this.#origin = await this.#serve(({ url }) =>
      url === "/streamlens.js" ? ["text/javascript", this.#script, 200] : ["text/html", this.html, 200],
    );
    this.#browser = await chromium.launch({
      executablePath: findOnPath("chromium"),
      args: ["--disable-quic", "--disable-sync", "--no-sandbox", "--disable-gpu"],
      ignoreDefaultArgs: ["--disable-back-forward-cache"],
    });
  }

  html = "";

  /** The page is `body` under the script tag, whose attributes are these too. */
  page(body = "", attributes = "", before = ""): void {
    this.events = [];
    this.requests = [];
    this.html = `<!doctype html>${before}<script src="/streamlens.js" data-key="k" data-endpoint="${this.#collector}" ${attributes}></script>
      <script>addEventListener("pageshow", (event) => { window.persisted = event.persisted; });</script>${body}`;
  }

  context(): Promise<BrowserContext> {
    return this.#browser.newContext();
  }

  async open(path = "/", context?: BrowserContext): Promise<Page> {
    const page = await (context ?? (await this.context())).newPage();
    await page.goto(this.at(path));
    return page;
  }

  at(path: string): string {
    return this.#origin + path;
  }

  get types(): string[] {
    return this.events.map(({ type }) => type);
  }

  async stop(): Promise<void> {
    await this.#browser.close();
    for (const server of this.#servers) {
      server.closeAllConnections();
      server.close();
    }
  }

  async #serve(work: (request: IncomingMessage, body: string) => [type: string, content: string, status: number]): Promise<string> {
    const server = createServer((request, answer) => {
      let body = "";
      request.on("data", (chunk) => (body += chunk));
      request.on("end", () => {
        const [type, content, status] = work(request, body);
        answer.writeHead(status, { "content-type": type, "access-control-allow-origin": "*" }).end(content);
      });
    });
    this.#servers.push(server);
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }
}
