/** What is captured without a call: page views, marked clicks, uncaught errors. */

import type { Options, Props } from "./options.js";

const MAX_ERRORS = 20; // of a page: one that fails in a loop says nothing new
const MARK = "data-track";

export interface Captured {
  track(type: string, props?: Props): void;
  pageView(): void;
}

/** Until `signal` says stop. */
export function watch(options: Options, captured: Captured, signal: AbortSignal): void {
  if (options.pageViews !== false) pageViews(captured, signal);
  if (options.clicks !== false) clicks(captured, signal);
  if (options.errors !== false) errors(captured, signal);
}

/** The first, and one for each other path: by history.pushState, back and forward, or out of the bfcache. */
function pageViews({ pageView }: Captured, signal: AbortSignal): void {
  let path = location.pathname;
  const moved = (): void => {
    if (path === location.pathname) return;
    path = location.pathname;
    pageView();
  };
  for (const name of ["pushState", "replaceState"] as const) {
    const original = history[name];
    history[name] = function (...given) {
      original.apply(this, given);
      moved();
    };
  }
  addEventListener("popstate", moved, { signal });
  addEventListener("pageshow", (event) => event.persisted && pageView(), { signal });
  // A page that the browser only prepares may never be seen.
  if ((document as { prerendering?: boolean }).prerendering) {
    document.addEventListener("prerenderingchange", pageView, { signal });
  } else pageView();
}

/** `data-track="name"` makes a click count; `data-track-anything` goes along. */
function clicks({ track }: Captured, signal: AbortSignal): void {
  const clicked = (event: Event): void => {
    const element = (event.target as Element).closest?.(`[${MARK}]`);
    if (!element) return;
    const props: Props = { name: element.getAttribute(MARK) };
    for (const { name, value } of element.attributes) {
      if (name.startsWith(`${MARK}-`)) props[name.slice(MARK.length + 1)] = value;
    }
    track("click", props);
  };
  // Before the page's own listeners, which may leave the page.
  document.addEventListener("click", clicked, { signal, capture: true });
}

/** The message and the place; no stack, which may hold anything. */
function errors({ track }: Captured, signal: AbortSignal): void {
  let left = MAX_ERRORS;
  const failed = (message: unknown, source?: string, line?: number): void => {
    if (left-- > 0) track("error", { message: String(message), source: source?.split(/[?#]/)[0], line });
  };
  addEventListener("error", (event) => failed(event.message, event.filename, event.lineno), { signal });
  addEventListener("unhandledrejection", ({ reason }) => failed(reason?.message ?? reason), { signal });
}
