"""THE list of metrics. Every number that a program shows at `/metrics` is declared here, once.

docs/metrics.md is made from it (`python -m telemetry.document`). Counters count what a process did:
a bundle of the job that is done again after a failure counts again; in the stores it does not.
"""

from typing import Final

from events.reasons import EVENT_REASONS, MESSAGE_REASONS, REQUEST_ERRORS
from telemetry.meters import Label, Program

COLLECTOR: Final = Program("collector")
SERVICE: Final = Program("service")
JOB: Final = Program("job")
PROGRAMS: Final = (COLLECTOR, SERVICE, JOB)

_STATUS: Final = Label("status", range(100, 600), "HTTP status")
_CODE: Final = Label("code", tuple(REQUEST_ERRORS), "a code")
_PARTITION: Final = Label("partition", range(10_000), "its number")
_LOOK: Final = Label("result", ("same", "read", "wrong"))
_LOOKS: Final = "Looks at the registry of projects; a wrong one leaves the last in force."
_SIZES: Final = "of events as JSON"

# --- the collector: counted once per request or message
COLLECTOR_REQUESTS: Final = COLLECTOR.count(
    "requests_total",
    "Requests answered, by address and HTTP status.",
    Label("route", ("/v1/events", "/healthz", "/readyz")),
    _STATUS,
)
COLLECTOR_REFUSED: Final = COLLECTOR.count(
    "refused_requests_total", "Requests refused as a whole, by code of events/reasons.py.", _CODE
)
COLLECTOR_REGISTRY: Final = COLLECTOR.count("registry_looks_total", _LOOKS, _LOOK)
COLLECTOR_GONE: Final = COLLECTOR.count(
    "abandoned_requests_total", "Requests whose client left before the answer."
)
COLLECTOR_SECONDS: Final = COLLECTOR.times(
    "request_seconds", "From a POST's first byte to its answer; most of it is the broker's."
)
COLLECTOR_BODY: Final = COLLECTOR.count(
    "body_bytes_total", "Bytes of bodies received, as sent (gzip or not)."
)
COLLECTOR_RECEIVED: Final = COLLECTOR.count(
    "events_received_total", "Events in requests that could be read, repeated ones too."
)
COLLECTOR_ACCEPTED: Final = COLLECTOR.count(
    "events_accepted_total", "Events that the broker has and the client was told so."
)
COLLECTOR_REJECTED: Final = COLLECTOR.count(
    "events_rejected_total",
    "Single events refused, their neighbours not, by code of events/reasons.py.",
    Label("reason", tuple(EVENT_REASONS), "a code"),
)
COLLECTOR_REPEATS: Final = COLLECTOR.count(
    "repeated_batches_total",
    "Requests with a batch id seen before, answered without producing: from memory (Redis), or "
    "with the answer of the first, still under way.",
    Label("source", ("memory", "under_way")),
)
COLLECTOR_HELD_EVENTS: Final = COLLECTOR.level(
    "held_events", "Events in buffers and in flight; at max_held_events requests get 503."
)
COLLECTOR_HELD_BYTES: Final = COLLECTOR.level(
    "held_bytes", f"The same in bytes {_SIZES}, with bodies being received."
)
COLLECTOR_MAX_EVENTS: Final = COLLECTOR.level(
    "max_held_events", "Its limit, --max_buffered_events."
)
COLLECTOR_MAX_BYTES: Final = COLLECTOR.level("max_held_bytes", "Its limit, --max_buffered_bytes.")
COLLECTOR_MESSAGES: Final = COLLECTOR.count(
    "messages_total",
    "Messages acknowledged by all replicas.",
)
COLLECTOR_MESSAGE_BYTES: Final = COLLECTOR.count(
    "message_bytes_total", "Payload bytes of messages handed to the broker's client."
)
COLLECTOR_PRODUCE: Final = COLLECTOR.times(
    "produce_seconds", "From handing a message over to the broker's word, good or bad."
)
COLLECTOR_BROKER_ERRORS: Final = COLLECTOR.count(
    "broker_errors_total",
    "Messages that did not get there: not delivered in time, or refused at once (queue full).",
    Label("error", ("undelivered", "refused")),
)
COLLECTOR_MEMORY: Final = COLLECTOR.times(
    "memory_seconds", "Round trips to the memory of batch ids (Redis), failed ones too."
)
COLLECTOR_MEMORY_ERRORS: Final = COLLECTOR.count(
    "memory_errors_total",
    "Round trips that failed; batches are taken unchecked, the job drops repeats.",
)
COLLECTOR_LIMITED: Final = COLLECTOR.count(
    "limited_requests_total",
    "Requests refused by a limit, by the setting that makes it.",
    Label("limit", ("requests_per_ip", "events_per_key")),
)
COLLECTOR_LEASES: Final = COLLECTOR.times(
    "lease_seconds", "Round trips for tokens of shared limits (Redis), failed ones too."
)
COLLECTOR_LIMITS_LOCAL: Final = COLLECTOR.count(
    "limits_local_total",
    "Checks of limits that this process made alone, since Redis was away.",
)

# --- the query and push service
SERVICE_ROUTES: Final = (
    "/", "/static/<path:filename>", "/healthz", "/readyz", "/v1/config", "/v1/openapi.json",
    "/v1/metrics", "/v1/breakdown", "/v1/ledger", "/v1/live", "/v1/live/sse", "/v1/live/snapshot",
    "/streamlens.js", "/v1/live.schema.json", "/v1/access", "/v1/keys", "/v1/shares", "/v1/tickets",
)  # fmt: skip
_ROUTE: Final = Label("route", SERVICE_ROUTES, "a route template")
_STORE: Final = Label("store", ("hot", "clickhouse", "bigquery"))
_RESULT: Final = Label("result", ("hit", "miss"))

SERVICE_REQUESTS: Final = SERVICE.count(
    "requests_total", "Requests answered, by route template and HTTP status.", _ROUTE, _STATUS
)
SERVICE_SECONDS: Final = SERVICE.times(
    "request_seconds", "Time to make an answer; sockets are not in it.", _ROUTE
)
SERVICE_BYTES: Final = SERVICE.count(
    "response_bytes_total", "Bytes of bodies answered; sockets are not in it.", _ROUTE
)
SERVICE_REGISTRY: Final = SERVICE.count("registry_looks_total", _LOOKS, _LOOK)
SERVICE_REPLIES: Final = SERVICE.count(
    "reply_cache_total", "Replies asked of the cache of one refresh, in this process.", _RESULT
)
SERVICE_SEALED: Final = SERVICE.count(
    "sealed_cache_total",
    "Parts of answers about sealed minutes asked of the cache in Redis; bypass: it was away or "
    "another process took too long.",
    Label("result", ("hit", "miss", "bypass")),
)
SERVICE_STORE: Final = SERVICE.times(
    "store_seconds",
    "Time of one question to a store, failed ones too.",
    _STORE,
    Label("question", ("since", "counts", "users", "completeness", "active_users", "pages")),
)
SERVICE_STORE_FAILURES: Final = SERVICE.count(
    "store_failures_total",
    "Questions or reads of live feeds that a store did not answer.",
    _STORE,
)
SERVICE_STORE_DOWN: Final = SERVICE.level(
    "store_down", "1 while a store that failed a moment ago is not asked.", _STORE
)
SERVICE_SOCKETS: Final = SERVICE.level("sockets", "Open WebSockets of /v1/live.")
SERVICE_CLOSED: Final = SERVICE.count(
    "sockets_closed_total",
    "WebSockets ended, by why: the client left or is gone, was refused, never subscribed, read too "
    "slowly, or this process stops.",
    Label("reason", ("client", "refused", "unsubscribed", "slow", "stopping")),
)
SERVICE_SUBSCRIBERS: Final = SERVICE.level("subscribers", "Sockets with a subscription.")
SERVICE_FEEDS: Final = SERVICE.level("feeds", "Distinct (project, filter) with subscribers.")
SERVICE_REFRESH: Final = SERVICE.times(
    "refresh_seconds", "One read of the store for all sockets of a feed."
)
SERVICE_FAN_OUT: Final = SERVICE.times(
    "fan_out_seconds",
    "Encoding one refresh and writing it to a feed's sockets, or into their queues.",
)
SERVICE_PACE: Final = SERVICE.level(
    "live_slowdown",
    "How many times --refresh_seconds the longest time between two live messages is: 1, or more "
    "while this process cannot keep up. Alert when that stays.",
)
SERVICE_FEED_SHARE: Final = SERVICE.level(
    "feed_time_share",
    "Share of the last refresh in which any feed read or handed out; over 0.8 feeds slow down.",
)
SERVICE_ANNOUNCED: Final = SERVICE.count(
    "live_announcements_total",
    "Times that all sockets of this process were told: of a slower pace or the usual one again, or "
    "that it stops.",
    Label("reason", ("degraded", "normal", "leaving")),
)
SERVICE_DROPPED: Final = SERVICE.count(
    "dropped_messages_total", "Messages thrown away for a snapshot, since a socket was behind."
)
SERVICE_OVERRUNS: Final = SERVICE.count(
    "overruns_total", "Times that a socket's queue was full; the second in a row closes it."
)
SERVICE_LIVE_MESSAGES: Final = SERVICE.count(
    "live_messages_total", "Frames written to sockets, pings and pongs too."
)
SERVICE_LIVE_BYTES: Final = SERVICE.count("live_bytes_total", "Bytes written to sockets.")

SERVICE_LIMITED: Final = SERVICE.count(
    "limited_requests_total",
    "Requests and connections refused by a limit, by the setting that makes it.",
    Label(
        "limit",
        ("requests_per_ip", "requests_per_key", "max_sockets_per_ip", "max_sockets_per_key"),
    ),
)
SERVICE_LIMITS_LOCAL: Final = SERVICE.count(
    "limits_local_total",
    "Requests counted in this process alone, since Redis was away.",
)

SERVICE_AUDITS: Final = SERVICE.count(
    "ledger_audits_total",
    "Looks at the ledger of all projects, one a minute in each process.",
    Label("outcome", ("done", "unavailable")),
)
SERVICE_DIFFERENCES: Final = SERVICE.level(
    "ledger_differences",
    "Numbers of sealed minutes of the last hour on which windows and raw events differ, at two "
    "looks in a row. Alert above 0.",
)
SERVICE_COMPARED: Final = SERVICE.level(
    "ledger_compared_minutes", "Minutes compared for that, over all projects."
)
SERVICE_UNEXPLAINED: Final = SERVICE.level(
    "ledger_unexplained_events",
    "Events of the last hour received and neither accepted nor rejected. Alert above 0.",
)
SERVICE_STUCK: Final = SERVICE.level(
    "ledger_stuck_events",
    "Events of the last hour accepted over three minutes ago and not decoded. Alert when it stays.",
)

# --- the job: its Python workers; what Flink does, Flink shows
_PATH: Final = Label("path", ("numbers", "raw"))
_SINK: Final = Label("store", ("hot", "cold", "raw"))
_TABLE: Final = Label("store", ("hot", "cold"))

JOB_MESSAGES: Final = JOB.count(
    "messages_total", "Messages read, by path: the numbers, or raw events.", _PATH
)
JOB_ROWS: Final = JOB.count("rows_decoded_total", "Events decoded.", _PATH)
JOB_DUPLICATES: Final = JOB.count(
    "duplicates_total", "Events left out: the same batch or event id came earlier.", _PATH
)
JOB_TOO_LATE: Final = JOB.count(
    "too_late_total", "Events left out: their window is closed for good."
)
JOB_DEAD: Final = JOB.count(
    "dead_letters_total",
    "Messages or lines that cannot be used, by code of events/reasons.py.",
    Label("reason", tuple(MESSAGE_REASONS), "a code"),
)
JOB_DEAD_SHARE: Final = JOB.level(
    "dead_letter_share",
    "Share of the messages of the last minute that cannot be used, as of the last poll; over "
    "--dead_letter_limit the job stops.",
)
JOB_TRIPS: Final = JOB.count(
    "dead_letter_trips_total", "Times that this process stopped the job for that. Alert above 0."
)
JOB_LEFT_OUT: Final = JOB.count(
    "rows_left_out_total",
    "Rows beyond --max_series: in the total, not in a series; counted per grouping set and window.",
)
JOB_PANES: Final = JOB.count("panes_written_total", "Results of windows written.", _TABLE)
JOB_WRITTEN: Final = JOB.count(
    "rows_written_total",
    "Rows that a store took: of series (in the hot one, those larger than before), or raw events.",
    _SINK,
)
JOB_WRITE: Final = JOB.times("store_write_seconds", "One write, failed ones too.", _SINK)
JOB_RETRIES: Final = JOB.count(
    "store_retries_total", "Writes that failed and are tried again.", _SINK
)
JOB_OUTBOX: Final = JOB.level(
    "outbox_bytes", "Bytes that wait for the cold store.", Label("shard", range(64), "its number")
)
JOB_WATERMARK_LAG: Final = JOB.level(
    "watermark_lag_seconds",
    "How far a partition's watermark is behind the clock, as of now: also grows when a job hangs.",
    _PARTITION,
)
JOB_LAG: Final = JOB.level(
    "consumer_lag_messages",
    "Messages between a reader's position and the end of the partition, as of its last poll.",
    _PATH,
    _PARTITION,
)
