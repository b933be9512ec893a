/**
 * The last 24 hours as columns, and the merging of snapshots and deltas into them.
 * Pure: no DOM, no clock; a merge returns a new state and leaves the old one as it was.
 */

export const MINUTE = 60;
export const DAY = 24 * 60 * MINUTE;
export const COUNTS = ["events", "page_views", "clicks", "purchases", "errors", "revenue"];

/** The state a `snapshot` message stands for. */
export function fromSnapshot(message) {
  const state = { ...heading(message), time: [...message.time], status: [...message.status] };
  for (const name of COUNTS) state[name] = [...message[name]];
  return state;
}

/**
 * The state after a `delta` message: known minutes replaced, new ones put in their place, minutes
 * nobody spoke of filled in as "none" up to the server's time, and what is more than 24 hours older
 * than the last dropped.
 */
export function applyDelta(state, message) {
  const next = { ...heading(message), time: [...state.time], status: [...state.status] };
  for (const name of COUNTS) next[name] = [...state[name]];
  for (let from = 0; from < message.time.length; from += 1) {
    const at = place(next, message.time[from]);
    next.status[at] = message.status[from];
    for (const name of COUNTS) next[name][at] = message[name][from];
  }
  const current = Math.floor(next.as_of / MINUTE) * MINUTE;
  if (next.time.length > 0 && next.time.at(-1) < current) place(next, current);
  return dropOld(next);
}

/** Whether a message answers to this filter; one for another may still be under way. */
export function sameFilter(a, b) {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name]);
}

/** Whether any minute has an event. */
export const hasEvents = (state) => state.events.some((count) => count > 0);

/** The shorter of the spans (hours, ascending) that shows all there is; else the longest. */
export function fittingHours(state, spans) {
  const first = firstKnown(state);
  if (first === state.time.length) return spans.at(-1);
  const age = state.time.at(-1) - state.time[first];
  return spans.find((hours) => age <= hours * 3600) ?? spans.at(-1);
}

/** Index of the first minute with data; the length when there is none. */
export function firstKnown(state) {
  const at = state.status.findIndex((status) => status !== "none");
  return at < 0 ? state.time.length : at;
}

/**
 * What a chart draws of a column: `complete` minutes, and those in `progress` with the minute
 * before them, so that the lines meet. Before the first data there is a gap (null); a "none" minute
 * after it is a zero. At the end such a minute is a gap too while it is not over, or when the
 * pipeline is silent: then nobody knows yet.
 */
export function split(state, values) {
  const length = state.time.length;
  const complete = new Array(length).fill(null);
  const progress = new Array(length).fill(null);
  const end = lastDrawn(state);
  for (let at = firstKnown(state); at <= end; at += 1) {
    const value = state.status[at] === "none" ? 0 : values[at];
    if (state.status[at] !== "partial") {
      complete[at] = value;
    } else {
      progress[at] = value;
      if (at > 0 && complete[at - 1] !== null) progress[at - 1] = complete[at - 1];
    }
    if (at > 0 && state.status[at - 1] === "partial" && state.status[at] !== "partial") {
      progress[at] = value;
    }
  }
  return { complete, progress };
}

/** The complete minutes of the last hour of a column: `[time, value]`, gaps left out. */
export function lastHour(state, values) {
  const { complete } = split(state, values);
  const points = [];
  for (let at = Math.max(0, complete.length - 61); at < complete.length; at += 1) {
    if (complete[at] !== null) points.push([state.time[at], complete[at]]);
  }
  return points;
}

function heading(message) {
  const { project, currency, filter, as_of, job, now } = message;
  return { project, currency, filter, as_of, job, now };
}

function lastDrawn(state) {
  let at = state.time.length - 1;
  const silent = state.job !== undefined && state.job !== null && state.job.alive === false;
  while (at >= 0 && state.status[at] === "none" && (silent || state.time[at] + MINUTE > state.as_of)) {
    at -= 1;
  }
  return at;
}

/** The index of a minute, which is made when it is not there. */
function place(state, time) {
  const { length } = state.time;
  if (length > 0 && time > state.time[length - 1]) {
    const oldest = Math.max(state.time[length - 1] + MINUTE, time - DAY);
    for (let missing = oldest; missing < time; missing += MINUTE) insert(state, state.time.length, missing);
    insert(state, state.time.length, time);
    return state.time.length - 1;
  }
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (state.time[middle] < time) low = middle + 1;
    else high = middle;
  }
  if (state.time[low] !== time) insert(state, low, time);
  return low;
}

function insert(state, at, time) {
  state.time.splice(at, 0, time);
  state.status.splice(at, 0, "none");
  for (const name of COUNTS) state[name].splice(at, 0, 0);
}

function dropOld(state) {
  const { length } = state.time;
  if (length === 0) return state;
  const oldest = state.time[length - 1] - DAY;
  const drop = state.time.findIndex((time) => time >= oldest);
  if (drop > 0) {
    state.time.splice(0, drop);
    state.status.splice(0, drop);
    for (const name of COUNTS) state[name].splice(0, drop);
  }
  return state;
}
