/** What the service says of itself and of a key. */

import { ask } from "./api";
import type { Filter } from "./live";

/** What a dashboard on this machine needs; keys are the demo's only. */
export interface Config {
  read_key: string | null;
  write_key: string | null;
  collector_url: string;
}

/** What a key opens. */
export interface Access {
  project: string;
  filter: Filter; // holds for all that is asked
  expires: number | null; // epoch seconds
}

export const NO_CONFIG: Config = { read_key: null, write_key: null, collector_url: location.origin };

const FIRST_WAIT = 1_000; // ms
const LONGEST_WAIT = 30_000;

/** Asked for until the service is there; `waiting` is told when it is tried again (ms). */
export async function loadConfig(waiting: (until: number) => void): Promise<Config> {
  for (let wait = FIRST_WAIT; ; wait = Math.min(wait * 2, LONGEST_WAIT)) {
    const found = await ask<Config>(null, "/v1/config");
    if (found.ok) return found.body;
    waiting(Date.now() + wait);
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}
