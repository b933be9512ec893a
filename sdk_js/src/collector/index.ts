/** The collector's client: `init` begins to capture, in a page or in a server. */

import { watch } from "./auto.js";
import { size } from "./batch.js";
import { deliver } from "./delivery.js";
import { checkType, encode, MAX_BYTES, money, type Money } from "./event.js";
import type { Collector, Context, Options, Props } from "./options.js";
import { area, asked, openConsent } from "./privacy.js";
import { openSession } from "./session.js";
import { openStore } from "./store.js";
import { connect } from "./transport.js";

export type { Collector, Context, Options, Props };

const warn = (...what: unknown[]): void => console.warn("streamlens:", ...what);

/** Never throws into the page. */
const safe =
  <A extends unknown[]>(work: (...given: A) => void) =>
  (...given: A): void => {
    try {
      work(...given);
    } catch (error) {
      warn(error);
    }
  };

export function init(options: Options): Collector {
  const page = typeof document !== "undefined";
  const local = area("localStorage");
  const kept = options.storage !== false;
  const name = `streamlens:${options.key}`;
  const session = openSession(kept ? area("sessionStorage") : undefined, name);
  const consent = openConsent(local, page && !!options.respectDoNotTrack && asked());
  const delivery = deliver({
    store: openStore(kept ? local : undefined, `${name}:`),
    transport: connect(options.endpoint ?? "", options.key, warn),
    batchEvents: Math.min(options.batchEvents ?? 100, 1_000),
    // A page's batch has to fit beside another into what a browser lets beacons have, 64 KB.
    batchBytes: page ? 30_000 : 500_000,
    queueBytes: page ? 500_000 : 50_000_000,
    silent: consent.silent,
    online: () => !page || navigator.onLine,
    hidden: () => page && document.hidden,
  });
  const stop = new AbortController();
  const { signal } = stop;

  const address = (url: string): string => url.split(options.query ? "#" : /[?#]/)[0]!;

  function capture(type: string, props: Props = {}, context: Context = {}, paid?: Money): void {
    if (consent.silent() || signal.aborted) return;
    checkType(type);
    const now = Date.now();
    const event = encode(
      session.stamp(now),
      now,
      type,
      { category: options.category, ...props },
      page ? { url: address(location.href), ...context } : context,
      paid,
    );
    if (size(event) > MAX_BYTES) throw Error(`too large: ${type}`);
    delivery.add(event);
    session.save();
  }

  const client: Collector = {
    track: safe((type, props, context) => capture(type, props, context)),
    purchase: safe((amount, currency, props, context) => capture("purchase", props, context, money(amount, currency))),
    pageView: safe(() => capture("page_view", { referrer: address(document.referrer) || undefined })),
    identify: safe((userId) => {
      session.identify(userId ?? "");
      if (!consent.silent()) session.save();
    }),
    optOut: safe(() => {
      consent.set(true);
      delivery.clear();
      session.forget();
    }),
    optIn: safe(() => consent.set(false)),
    flush: (timeout = 10_000) => delivery.flush(timeout),
    async shutdown(timeout = 10_000) {
      stop.abort();
      const all = await delivery.flush(timeout);
      delivery.stop();
      return all;
    },
    dropped: delivery.dropped,
  };

  if (options.userId) client.identify(options.userId);
  if (page) {
    safe(() => {
      if (consent.silent()) session.forget();
      delivery.adopt();
      document.addEventListener(
        "visibilitychange",
        () => (document.hidden ? delivery.leave(false) : delivery.wake()),
        { signal },
      );
      addEventListener("pagehide", () => delivery.leave(true), { signal });
      addEventListener("pageshow", (event) => event.persisted && delivery.wake(), { signal });
      addEventListener("online", delivery.wake, { signal });
      watch(options, client, signal);
    })();
  }
  return client;
}
