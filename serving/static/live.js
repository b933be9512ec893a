/**
 * The WebSocket client: one subscription, kept up through lost connections. Each connection has a
 * ticket of its own, which the key buys: keys do not stand in addresses.
 *
 * Reports `{state, until?, since?}`, state being "connecting", "live", "stale" (connected, but the
 * store is away or nothing came for 15 s; `since` when the numbers are of), "reconnecting" (`until`:
 * when it is tried again), "offline" (the browser says so) or "denied" (the key was refused; nothing
 * is tried until `start` is called again). While the service is slower than usual, "live" has
 * `every`: the longest time between two messages, ms.
 */

const TICKET_WITHIN = 10_000; // ms
const STALE_AFTER = 15_000; // ms without a message, or twice the time that the service announced
const DEAD_AFTER = 40_000; // ms without a message: the connection is given up
const FIRST_WAIT = 1_000; // ms; doubles with every failure
const LONGEST_WAIT = 30_000;
const SETTLED_AFTER = 10_000; // ms a connection has to last for the waits to begin anew

export class Live {
  constructor({ url, ticketUrl, onState, onMessage, onError }) {
    this.url = url;
    this.ticketUrl = ticketUrl;
    this.onState = onState;
    this.onMessage = onMessage;
    this.onError = onError;
    this.key = null;
    this.filter = {};
    this.socket = null;
    this.attempt = 0; // which one; what an earlier one still says is not heard
    this.failures = 0;
    this.heard = 0; // when the last message came, ms
    this.asOf = null; // of the last numbers, ms of the server's clock
    this.shown = ""; // which subscription they are of
    this.opened = 0;
    this.every = 0; // ms from message to message, when the service announced that it is slow
    this.leaving = null; // ms within which all come back, when the service announced its end
    this.timers = { retry: 0, watch: 0 };
    addEventListener("online", () => this.key !== null && this.socket === null && this.connect());
    addEventListener("offline", () => this.key !== null && this.lost());
  }

  /** Connect with a key, in place of any connection there is. */
  start(key, filter) {
    this.key = key;
    this.filter = filter;
    this.shown = "";
    this.failures = 0;
    this.connect();
  }

  /** Replace the subscription; the answer is a snapshot. */
  subscribe(filter) {
    this.filter = filter;
    this.shown = "";
    if (this.socket !== null && this.socket.readyState === WebSocket.OPEN) this.sendSubscribe();
  }

  stop() {
    this.key = null;
    this.drop();
  }

  async connect() {
    this.drop();
    if (navigator.onLine === false) {
      this.onState({ state: "offline" });
      return;
    }
    if (this.failures === 0) this.onState({ state: "connecting" });
    const attempt = this.attempt;
    const ticket = await this.ticket();
    if (attempt !== this.attempt) return;
    if (ticket === null) this.lost();
    else if (ticket !== "") this.open(ticket);
  }

  /** A ticket; null when there is none to be had now, "" when the key is refused, which is told. */
  async ticket() {
    const attempt = this.attempt;
    try {
      const response = await fetch(this.ticketUrl, {
        method: "POST",
        headers: { "X-Read-Key": this.key },
        signal: AbortSignal.timeout(TICKET_WITHIN),
      });
      const answer = await response.json();
      if (attempt !== this.attempt) return null;
      if (response.ok) return answer.ticket;
      if (response.status !== 401 && response.status !== 403) return null;
      this.refused(answer.error);
      return "";
    } catch {
      return null;
    }
  }

  /** The key opens nothing (any more): nothing is tried until `start` is called again. */
  refused(error) {
    this.stop();
    this.onState({ state: "denied" });
    this.onError(error);
  }

  open(ticket) {
    const socket = new WebSocket(`${this.url}?ticket=${encodeURIComponent(ticket)}`);
    this.socket = socket;
    this.heard = Date.now();
    this.opened = Date.now();
    this.every = 0;
    this.leaving = null;
    socket.onopen = () => {
      this.opened = Date.now();
      this.sendSubscribe();
    };
    socket.onmessage = (event) => this.received(event.data);
    socket.onclose = () => this.lost();
    this.timers.watch = setInterval(() => this.watch(), 1_000);
  }

  /** Of a subscription whose numbers are here already only what came since is asked for. */
  sendSubscribe() {
    const { key, filter } = this;
    const wish = { type: "subscribe", filter };
    if (this.shown === subscription(key, filter)) wish.since = this.asOf / 1_000;
    this.socket.send(JSON.stringify(wish));
  }

  received(text) {
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      return;
    }
    this.heard = Date.now();
    if (message.type === "error") {
      if (message.code === "store_unavailable") {
        this.onState({ state: "stale", since: this.asOf ?? this.opened });
        return;
      }
      if (String(message.code).startsWith("read_key_")) this.refused(message);
      else this.onError(message);
      return;
    }
    if (message.type === "announce") {
      this.announced(message);
      return;
    }
    if (message.type !== "snapshot" && message.type !== "delta") return;
    if (Date.now() - this.opened > SETTLED_AFTER) this.failures = 0;
    this.asOf = message.as_of * 1_000;
    this.shown = subscription(this.key, message.filter ?? {});
    this.onState(this.every === 0 ? { state: "live" } : { state: "live", every: this.every });
    this.onMessage(message);
  }

  /** A slower pace, the usual one again, or the end of this connection. */
  announced({ reason, refresh_seconds: refresh, reconnect_within_seconds: within }) {
    if (reason === "degraded") this.every = refresh * 1_000;
    else if (reason === "normal") this.every = 0;
    else if (reason === "leaving") this.leaving = within * 1_000;
  }

  watch() {
    const silence = Date.now() - this.heard;
    if (silence > DEAD_AFTER) this.lost();
    else if (silence > Math.max(STALE_AFTER, 2 * this.every)) this.onState({ state: "stale", since: this.asOf ?? this.heard });
  }

  /**
   * The connection is gone: try again after a jittered wait, or when the browser is online. An end
   * that was announced is no failure: all come back spread over the time that was named.
   */
  lost() {
    const { leaving } = this;
    this.leaving = null;
    this.drop();
    if (this.key === null) return;
    if (navigator.onLine === false) {
      this.onState({ state: "offline" });
      return;
    }
    const longest = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** this.failures);
    const wait = leaving === null ? longest * (0.5 + Math.random() / 2) : leaving * Math.random();
    if (leaving === null) this.failures += 1;
    this.onState({ state: "reconnecting", until: Date.now() + wait });
    this.timers.retry = setTimeout(() => this.connect(), wait);
  }

  drop() {
    this.attempt += 1;
    clearTimeout(this.timers.retry);
    clearInterval(this.timers.watch);
    const { socket } = this;
    this.socket = null;
    if (socket !== null) {
      socket.onopen = null;
      socket.onmessage = null;
      socket.onclose = null;
      socket.close();
    }
  }
}

function subscription(key, filter) {
  return JSON.stringify([key, Object.entries(filter).sort()]);
}
