/** The site: pages of each run with the script tag as a site owner writes it, and pages without. */

import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

/** `send(from, count, pad)` in a page captures events that are known by `props.n`. */
const page = (run: string, collector: string) => `<!doctype html>
<title>${run}</title>
<script src="/streamlens.iife.js" data-key="demo-write-key" data-endpoint="${collector}/${run}"></script>
<script>
  function send(from, count, pad) {
    for (let n = from; n < from + count; n++) streamlens.track("test", { n: "${run}:" + n, pad: "x".repeat(pad) });
  }
  addEventListener("pageshow", (event) => { window.persisted = event.persisted; });
</script>
<p>${run}</p>`;

const ELSEWHERE = "<!doctype html><title>elsewhere</title><p>A page without the script.</p>";

export class Pages {
  readonly #server: Server;

  constructor(collector: string) {
    const script = readFileSync("dist/streamlens.iife.js");
    this.#server = createServer((request, answer) => {
      const [, kind, run = ""] = request.url!.split("/");
      const [type, content] =
        kind === "streamlens.iife.js" ? ["text/javascript", script]
        : kind === "run" ? ["text/html", page(run, collector)]
        : ["text/html", ELSEWHERE];
      answer.writeHead(200, { "content-type": `${type}; charset=utf-8`, "cache-control": "max-age=600" }).end(content);
    });
  }

  /** The origin of a run's site, and another one. */
  async start(): Promise<{ here: (run: string) => string; there: string }> {
    await new Promise<void>((done) => this.#server.listen(0, "127.0.0.1", done));
    const { port } = this.#server.address() as AddressInfo;
    return { here: (run) => `http://${run}.localhost:${port}`, there: `http://127.0.0.1:${port}` };
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}
