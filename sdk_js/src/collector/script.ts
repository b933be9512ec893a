/**
 * The build for a script tag: `<script async src="…" data-key="…" data-endpoint="…"></script>`.
 *
 * Its attributes are `init`'s options. What a page says before it is loaded waits in a queue:
 * `window.streamlens = window.streamlens || { q: [] }; streamlens.q.push(["track", "sign_up"])`.
 */

import { type Collector, init, type Options } from "./index.js";

type Call = [name: string, ...given: unknown[]];

interface Api extends Partial<Collector> {
  init(options: Options): void;
  q: { push(call: Call): void };
}

declare global {
  interface Window {
    streamlens?: Partial<Api> | { init?: never; q?: Call[] };
  }
}

const before = window.streamlens;
const script = document.currentScript as HTMLScriptElement | null;

// A second copy of the script would count everything twice.
if (!before?.init) {
  const api: Api = {
    init(options) {
      Object.assign(api, init(options));
    },
    q: {
      push([name, ...given]) {
        (api as unknown as Record<string, ((...given: unknown[]) => void) | undefined>)[name]?.(...given);
      },
    },
  };
  window.streamlens = api;
  const given = script?.dataset;
  if (given?.key) {
    const said: Record<string, string | boolean> = { endpoint: new URL(script!.src).origin };
    for (const name in given) said[name] = given[name] !== "false" && (given[name] || true);
    api.init(said as unknown as Options);
  }
  (before?.q as Call[] | undefined)?.forEach(api.q.push);
}
