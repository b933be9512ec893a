/** A subscription that is kept up: which transport, when to try again, and what state that is. */

import { Attempt } from "./attempt.js";
import { Backoff } from "./backoff.js";
import { surroundings, type Cancel, type Environment } from "./environment.js";
import { Held } from "./held.js";
import { Refusal, type Service } from "./http.js";
import { Ladder, transportOf } from "./ladder.js";
import type { Ending } from "./link.js";
import { fetchNumbers } from "./polling.js";
import { Tickets } from "./tickets.js";
import type { Connection, Failure, LiveClient, LiveOptions, Message, Numbers, Wish } from "./types.js";

const SETTLED_AFTER = 10_000; // ms a connection has to last for the waits to begin anew
const LET_GO_AFTER = 30_000; // ms of a pause
const TICK = 1_000; // ms
const SLEPT = 10_000; // ms between two ticks: the machine was asleep

/** The client of one key; nothing is asked for before `start`. */
export function connect(options: LiveOptions, environment: Environment = surroundings()): LiveClient {
  return new Live(options, environment);
}

class Live implements LiveClient {
  readonly #options: LiveOptions;
  readonly #environment: Environment;
  readonly #service: Service;
  readonly #tickets: Tickets;
  readonly #backoff: Backoff;
  readonly #ladder = new Ladder();
  readonly #held: Held;
  #running = false;
  #paused = false;
  #letGo = false; // by a pause
  #notBefore = 0; // which the service asked not to come, ms
  #ticked = 0; // ms
  #current: Attempt | null = null;
  #probe: Attempt | null = null; // by a better transport, while the current one goes on
  #first: AbortController | null = null; // of the request for the first numbers
  #said = "";
  #cancelRetry: Cancel = nothing;
  #cancelTick: Cancel = nothing;
  #cancelPause: Cancel = nothing;
  #cancelNetwork: Cancel = nothing;

  constructor(options: LiveOptions, environment: Environment) {
    this.#options = options;
    this.#environment = environment;
    this.#service = { environment, origin: options.origin, key: options.key };
    this.#tickets = new Tickets(this.#service);
    this.#backoff = new Backoff(() => environment.random());
    this.#held = new Held(options.wish ?? {});
  }

  start(): void {
    this.stop();
    this.#running = true;
    this.#said = "";
    this.#notBefore = 0;
    this.#ladder.reset();
    this.#backoff.reset();
    this.#cancelNetwork = this.#environment.onNetwork(() => this.#network());
    this.#begin();
  }

  subscribe(wish: Wish): void {
    if (!this.#held.want(wish) || !this.#running || this.#letGo) return;
    this.#drop(this.#probe);
    if (this.#first !== null) this.#fetchFirst();
    if (this.#current?.ask() !== true) this.#connect();
  }

  pause(): void {
    if (!this.#running || this.#paused) return;
    this.#paused = true;
    this.#cancelPause = this.#environment.after(LET_GO_AFTER, () => {
      this.#letGo = true;
      this.#dropAll();
    });
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#cancelPause();
    if (this.#letGo) this.#begin();
    else if (this.#current === null) this.#connect();
  }

  stop(): void {
    this.#running = this.#paused = this.#letGo = false;
    this.#dropAll();
    this.#cancelPause();
    this.#cancelNetwork();
  }

  /** The first numbers by a request, and what follows by a connection, at the same time. */
  #begin(): void {
    this.#letGo = false;
    this.#ticked = this.#environment.now();
    this.#connect();
    if (this.#current !== null && transportOf(this.#ladder.rank) !== "polling") this.#fetchFirst();
    this.#tick();
  }

  #fetchFirst(): void {
    this.#first?.abort();
    const { signal } = (this.#first = new AbortController());
    fetchNumbers(this.#service, this.#held.question(), signal).then(
      (message) => {
        if (signal.aborted) return;
        this.#first = null;
        if (message?.type !== "snapshot" && message?.type !== "delta") return;
        const series = this.#held.accept(message, true);
        if (typeof series === "object") this.#options.onSeries(series);
      },
      (error: unknown) => {
        if (signal.aborted) return;
        this.#first = null;
        // Whatever else it is, the connection finds out too, and gets the numbers.
        if (error instanceof Refusal && error.denied) this.#deny(error.failure);
      },
    );
  }

  /** A connection in place of any there is, when the service may be asked again. */
  #connect(): void {
    this.#drop(this.#current);
    this.#drop(this.#probe);
    this.#cancelRetry();
    if (!this.#running || this.#letGo) return;
    if (!this.#environment.online()) {
      this.#say({ state: "offline" });
      return;
    }
    const early = this.#notBefore - this.#environment.now();
    if (early > 0) {
      this.#retry(early);
      return;
    }
    if (!this.#backoff.failed) this.#say({ state: "connecting" });
    this.#current = new Attempt(this.#ladder.rank, this.#environment.now());
    this.#open(this.#current);
  }

  #retry(wait: number): void {
    this.#cancelRetry();
    this.#say({ state: "reconnecting", until: this.#environment.now() + wait });
    this.#cancelRetry = this.#environment.after(wait, () => this.#connect());
  }

  #open(attempt: Attempt): void {
    attempt.open({
      service: this.#service,
      tickets: this.#tickets,
      question: () => {
        const question = this.#held.question();
        attempt.owing = question.since === null;
        return question;
      },
      heard: (message) => this.#heard(attempt, message),
      ended: (ending) => this.#ended(attempt, ending),
    });
  }

  #heard(attempt: Attempt, message: Message): void {
    attempt.heard = this.#environment.now();
    attempt.reached = true;
    if (attempt === this.#probe) this.#adopt(attempt);
    this.#ladder.through(attempt.rank, attempt.heard);
    switch (message.type) {
      case "ticket":
        this.#tickets.keep(message.ticket, message.seconds);
        break;
      case "announce":
        attempt.announced(message);
        break;
      case "error":
        this.#told(message);
        break;
      default:
        this.#received(attempt, message);
    }
  }

  #received(attempt: Attempt, message: Numbers): void {
    if (this.#environment.now() - attempt.opened > SETTLED_AFTER) this.#backoff.reset();
    const found = this.#held.accept(message, attempt.surely);
    if (found === "groundless" && !attempt.owing && !attempt.ask()) this.#connect();
    if (typeof found === "string") return;
    if (message.type === "snapshot") attempt.owing = false;
    const { every, rank } = attempt;
    this.#say({ state: "live", transport: transportOf(rank), ...(every > 0 && { every }) });
    this.#options.onSeries(found);
  }

  #told({ code, message }: Failure): void {
    if (code === "store_unavailable") this.#stale();
    else if (code.startsWith("read_key_")) this.#deny({ code, message });
    else this.#options.onError?.({ code, message });
  }

  #stale(): void {
    const { series } = this.#held;
    const heard = this.#current?.heard ?? this.#environment.now();
    this.#say({ state: "stale", since: series === null ? heard : series.asOf * 1_000 });
  }

  /** The key opens nothing (any more). */
  #deny(failure: Failure): void {
    this.stop();
    this.#say({ state: "denied", failure });
  }

  /**
   * A connection is gone: try again after a jittered wait, or when the browser is online. An end that
   * was announced is no failure: all come back spread over the time that was named.
   */
  #ended(attempt: Attempt, { refusal, blocked }: Ending): void {
    const probed = attempt === this.#probe;
    this.#drop(attempt);
    if (probed) {
      this.#tryBetter(attempt.rank + 1);
      return;
    }
    if (refusal?.denied) {
      this.#deny(refusal.failure);
      return;
    }
    if (refusal?.final) this.#options.onError?.(refusal.failure);
    if (blocked && this.#ladder.blocked(this.#environment.now())) {
      this.#connect();
      return;
    }
    if (!this.#environment.online()) {
      this.#say({ state: "offline" });
      return;
    }
    const asked = refusal?.retryAfter ?? 0;
    const { leaving } = attempt;
    this.#notBefore = this.#environment.now() + asked;
    this.#retry(leaving === null ? asked + this.#backoff.next() : leaving * this.#environment.random());
  }

  /** Beside the connection that there is, this transport and those after it. */
  #tryBetter(rank: number): void {
    if (rank < this.#ladder.rank) {
      this.#probe = new Attempt(rank, this.#environment.now());
      this.#open(this.#probe);
    } else this.#ladder.postpone(this.#environment.now());
  }

  /** A better transport gets through. */
  #adopt(attempt: Attempt): void {
    this.#probe = null;
    this.#drop(this.#current);
    this.#cancelRetry();
    this.#current = attempt;
  }

  /** What only time tells: silence, that the machine slept, that better may be tried again. */
  #tick(): void {
    const now = this.#environment.now();
    const slept = now - this.#ticked > SLEPT;
    this.#ticked = now;
    this.#cancelTick = this.#environment.after(TICK, () => this.#tick());
    const current = this.#current;
    if (current === null) {
      if (slept) this.#connect();
      return;
    }
    const silence = now - current.heard;
    const state = current.after(silence);
    if (slept && silence > SLEPT) this.#connect();
    else if (state === "dead") this.#ended(current, { refusal: null, blocked: false });
    else if (state === "stale") this.#stale();
    else if (current.reached && this.#probe === null && this.#ladder.due(now)) this.#tryBetter(0);
  }

  /** The browser says that it is online, maybe by another network, or that it is not. */
  #network(): void {
    if (this.#letGo || (this.#environment.online() && this.#current !== null)) return;
    this.#ladder.reset();
    this.#connect(); // which lets go of what there is when it is offline
  }

  /** What has not been said. */
  #say(connection: Connection): void {
    const text = JSON.stringify(connection);
    if (text === this.#said) return;
    this.#said = text;
    this.#options.onConnection(connection);
  }

  #drop(attempt: Attempt | null): void {
    if (attempt === null) return;
    if (attempt === this.#current) this.#current = null;
    if (attempt === this.#probe) this.#probe = null;
    attempt.close();
  }

  #dropAll(): void {
    this.#drop(this.#current);
    this.#drop(this.#probe);
    this.#first?.abort();
    this.#first = null;
    this.#cancelRetry();
    this.#cancelTick();
  }
}

function nothing(): void {}
