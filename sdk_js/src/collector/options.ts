/** What a page says to the collector's client. */

export interface Options {
  key: string; // a write key
  endpoint?: string; // of the collector: https://collect.example; by default where the page is from
  userId?: string; // by default an anonymous id
  category?: string; // of events that say none
  pageViews?: boolean; // by default true, like the next two
  clicks?: boolean;
  errors?: boolean;
  query?: boolean; // keep the query of addresses; by default it is cut off
  storage?: boolean; // false: nothing is kept in the browser, neither the session nor unsent events
  respectDoNotTrack?: boolean; // then nothing is kept or sent where the browser says DNT or GPC
  batchEvents?: number; // that fill a batch; by default 100, at most 1,000
}

/** Plain values. `category` becomes the event's category. */
export type Props = Record<string, string | number | boolean | null | undefined>;

/** Of whom, and where: for servers, which speak for many. */
export interface Context {
  userId?: string;
  sessionId?: string;
  url?: string;
}

export interface Collector {
  /** Count an event. A `type` is like `video_play`: `^[a-z][a-z0-9_.:-]*$`, at most 64 characters. */
  track(type: string, props?: Props, context?: Context): void;
  /** Text keeps every digit; a number is rounded to six decimals. `currency` is ISO 4217. */
  purchase(amount: number | string, currency: string, props?: Props, context?: Context): void;
  /** For pages that switch off `pageViews`. */
  pageView(): void;
  /** From now on events are of this user; without one, of a new anonymous id. */
  identify(userId?: string): void;
  /** Forget everything, and keep and send nothing from now on, here and on later visits. */
  optOut(): void;
  optIn(): void;
  /** True when all that was captured is answered; false after `timeout` ms, by default 10,000. */
  flush(timeout?: number): Promise<boolean>;
  /** `flush`, and nothing is captured or sent after it. */
  shutdown(timeout?: number): Promise<boolean>;
  /** Events given up: too many waited, or for too long. */
  dropped(): number;
}
