/** What the service says on /v1/live (its schema: /v1/live.schema.json), and what a client makes of it. */

export const METRICS = ["events", "revenue", "page_views", "clicks", "purchases", "errors", "bots"] as const;
export type Metric = (typeof METRICS)[number];

export const DIMENSIONS = ["country", "device", "category"] as const;
export type Dimension = (typeof DIMENSIONS)[number];

export type Filter = Partial<Record<Dimension, string>>;

/** How complete a minute is: `partial` is in progress, `revised` was changed by late events. */
export type Status = "none" | "partial" | "final" | "revised";

/** What is wanted: of which part, which columns, whose top values, and whether single events too. */
export interface Wish {
  filter?: Filter;
  metrics?: readonly Metric[]; // by default all but bots
  dimensions?: readonly Dimension[]; // by default none
  recent?: boolean; // by default not
}

/** Of the last five minutes (users, errors), seconds (events) and hour (revenue). */
export interface Now {
  active_users: number | null; // null with several filters
  active_users_error: number | null; // its standard error, in users
  events_per_second: number;
  revenue_per_hour: number; // in the project's currency
  error_rate: number | null; // null without events
}

/** Whether the pipeline lives. Times in epoch seconds. */
export interface Job {
  alive: boolean;
  last_beat: number | null;
  log_lost_since: number | null;
}

/** The largest values of one dimension in the last hour, most events first; `other` is the rest. */
export interface Top {
  start: number;
  end: number;
  values: string[];
  events: number[];
  revenue: number[];
  page_views: number[];
  clicks: number[];
  purchases: number[];
  errors: number[];
  share: (number | null)[]; // of the events
}

/** One of the events that came in last, a sample where there are many. */
export interface AcceptedEvent {
  id: string;
  at: number; // ms, when it was received
  accepted: true;
  type: string;
  url: string | null;
  category: string | null;
  country: string;
  device: string;
  revenue: number | null; // of a purchase, in the project's currency
}

/** An event, or a whole request, that was refused; only of a project's whole numbers. */
export interface RejectedEvent {
  id: string;
  at: number;
  accepted: false;
  code: string;
  message: string;
}

export type RecentEvent = AcceptedEvent | RejectedEvent;

/** `snapshot`: all minutes of the last 24 hours. `delta`: those that have changed. */
export interface Numbers extends Partial<Record<Metric, number[]>> {
  type: "snapshot" | "delta";
  seq: number;
  project: string;
  currency: string; // ISO 4217
  timezone: string; // IANA
  filter: Filter;
  as_of: number; // epoch seconds
  job: Job;
  time: number[]; // epoch seconds: where each minute begins
  status: Status[];
  now: Now;
  top?: Partial<Record<Dimension, Top>>;
  recent?: RecentEvent[]; // oldest first: the last 50, or those that are new
}

export type Announcement =
  | { type: "announce"; reason: "degraded" | "normal"; refresh_seconds: number }
  | { type: "announce"; reason: "leaving"; reconnect_within_seconds: number };

/** To come back with, once and within so many seconds, should the connection be lost. */
export interface Return {
  type: "ticket";
  ticket: string;
  seconds: number;
}

export interface Failure {
  code: string;
  message: string;
}

export type Message = Numbers | Announcement | Return | ({ type: "error" } & Failure);

/** The last 24 hours as columns of equal length, oldest first; never changed in place. */
export interface Series {
  readonly project: string;
  readonly currency: string;
  readonly timezone: string;
  readonly filter: Filter;
  readonly asOf: number; // epoch seconds
  readonly job: Job;
  readonly now: Now;
  readonly time: readonly number[]; // epoch seconds
  readonly status: readonly Status[];
  readonly columns: Readonly<Partial<Record<Metric, readonly number[]>>>;
  readonly top: Readonly<Partial<Record<Dimension, Top>>>;
  readonly recent: readonly RecentEvent[]; // oldest first, at most 200
}

export type Transport = "websocket" | "sse" | "polling";

/**
 * Where the connection is. `live` has `every` (ms from message to message) while the service is
 * slower than usual; `stale` is connected, but its numbers are of `since` (ms); `reconnecting` tries
 * again at `until` (ms); after `denied` nothing is tried until `start` is called again.
 */
export type Connection =
  | { state: "connecting" }
  | { state: "live"; transport: Transport; every?: number }
  | { state: "stale"; since: number }
  | { state: "reconnecting"; until: number }
  | { state: "offline" }
  | { state: "denied"; failure: Failure };

export interface LiveOptions {
  origin: string; // of the service: https://stats.example
  key: string; // a read key, or the token of a share link
  wish?: Wish;
  onSeries(series: Series): void;
  onConnection(connection: Connection): void;
  onError?(failure: Failure): void; // what was asked for is refused; the connection may go on
}

/** A subscription that is kept up: WebSocket, else server-sent events, else polling. */
export interface LiveClient {
  start(): void;
  subscribe(wish: Wish): void; // in place of the one before; a series of it comes next
  pause(): void; // a hidden page: lets the connection go
  resume(): void; // and gets what it missed
  stop(): void;
}
