/** The SDK's live client and its types, by one name. */

export { connect } from "../../sdk_js/src/live";
export { DIMENSIONS } from "../../sdk_js/src/live/types";
export type {
  AcceptedEvent, Connection, Dimension, Failure, Filter, LiveClient, Metric, RecentEvent, Series, Status, Top,
} from "../../sdk_js/src/live/types";
