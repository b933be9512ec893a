/** The client of a dashboard: `connect({ origin, key, onSeries, onConnection }).start()`. */

export { connect } from "./client.js";
export type { Environment } from "./environment.js";
export { DAY_MINUTES, MAX_RECENT, MINUTE } from "./series.js";
export * from "./types.js";
