/** What the client takes of the page it runs in; a test has its own. */

export type Cancel = () => void;

export interface Environment {
  fetch(url: string, init: RequestInit): Promise<Response>;
  readonly WebSocket: (new (url: string) => WebSocket) | undefined;
  readonly EventSource: (new (url: string) => EventSource) | undefined;
  now(): number; // epoch ms, which goes on while the machine sleeps
  random(): number; // from 0, below 1
  after(wait: number, run: () => void): Cancel; // ms
  online(): boolean;
  onNetwork(changed: () => void): Cancel;
}

/** The page's own, or that of Node. */
export function surroundings(): Environment {
  return {
    fetch: (url, init) => fetch(url, init),
    WebSocket: globalThis.WebSocket,
    EventSource: globalThis.EventSource,
    now: () => Date.now(),
    random: () => Math.random(),
    after(wait, run) {
      const timer = setTimeout(run, wait);
      return () => clearTimeout(timer);
    },
    online: () => globalThis.navigator?.onLine !== false,
    onNetwork(changed) {
      const names = ["online", "offline"];
      for (const name of names) globalThis.addEventListener?.(name, changed); // Node has none
      return () => {
        for (const name of names) globalThis.removeEventListener?.(name, changed);
      };
    },
  };
}
