/** The ways out of a page: requests that are answered, and beacons that outlive it. */

const TIMEOUT = 30_000; // ms
const LONGEST = 3_600_000; // ms, that an answer can make us wait

export interface Transport {
  /**
   * Undefined when the batch is finished, be it taken or refused for good. Else it is to be sent
   * again, after as many ms as the answer said, 0 when it said nothing.
   */
  post(body: string, keepalive: boolean): Promise<number | undefined>;
  /** False when the browser did not take it. */
  beacon(body: string): boolean;
}

/** `Retry-After` in ms: seconds or a date (RFC 9110, 10.2.3); 0 for anything else. */
export function retryAfter(value: string | null, now: number): number {
  const ms = +value! * 1_000 || Date.parse(value!) - now;
  return Math.min(LONGEST, ms > 0 ? ms : 0);
}

// Text, with the key in the address: a "simple request" of CORS, so without a preflight.
export function connect(endpoint: string, key: string, warn: (...what: unknown[]) => void): Transport {
  const url = `${endpoint.replace(/\/$/, "")}/v1/events?key=${encodeURIComponent(key)}`;
  return {
    async post(body, keepalive) {
      let answer;
      try {
        answer = await fetch(url, {
          method: "POST",
          body,
          keepalive,
          credentials: "omit",
          signal: AbortSignal.timeout?.(TIMEOUT),
        } as RequestInit);
      } catch {
        return 0; // no answer: whether it was taken is not known
      }
      const { status } = answer;
      // 202 is the collector's; another success is some other server's, say of a wireless network.
      const refused = status >= 400 && status < 500 && status !== 408 && status !== 429;
      if (status !== 202 && !refused) {
        return retryAfter(answer.headers.get("Retry-After"), Date.now());
      }
      // What is wrong with the events, for whoever develops the page. That it is finished is known.
      answer.json().then(
        (said) => said.accepted && !said.rejected[0] || warn(said),
        () => {},
      );
      return undefined;
    },
    beacon: (body) => !!navigator.sendBeacon?.(url, body),
  };
}
