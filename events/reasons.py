"""The one list of reasons for refusing or dropping input, and of error codes.

Every refusal anywhere in the product names a code from here; docs and tests read the list.
"""

from typing import Final, NamedTuple


class Error(NamedTuple):
    """An error a whole request can get."""

    status: int
    message: str


# A whole request is refused: code -> (HTTP status, message).
REQUEST_ERRORS: Final[dict[str, Error]] = {
    "body_too_large": Error(413, "The body is larger than the limit."),
    "http_malformed": Error(400, "The request is not HTTP."),
    "head_too_large": Error(431, "The request's head is larger than the limit."),
    "head_incomplete": Error(408, "The request's head did not arrive in time."),
    "body_malformed": Error(400, "The body is not the JSON object this endpoint takes."),
    "body_incomplete": Error(408, "The body did not arrive in time."),
    "gzip_malformed": Error(400, "The body says gzip but cannot be decompressed."),
    "content_type_unsupported": Error(415, "Send application/json or text/plain."),
    "content_encoding_unsupported": Error(415, "Send the body plain or with gzip."),
    "events_missing": Error(400, "The request carries no events."),
    "events_too_many": Error(413, "The request carries more events than the limit."),
    "write_key_missing": Error(401, "Send a write key in X-Write-Key or ?key=."),
    "write_key_unknown": Error(403, "The write key belongs to no project."),
    "write_key_revoked": Error(403, "The write key was revoked."),
    "write_key_expired": Error(403, "The write key's time is over."),
    "read_key_missing": Error(401, "Send a read key in X-Read-Key or Authorization: Bearer."),
    "read_key_unknown": Error(403, "The read key belongs to no project."),
    "read_key_revoked": Error(403, "The read key, or share link, was revoked."),
    "read_key_expired": Error(403, "The read key's, or share link's, time is over."),
    "ticket_invalid": Error(403, "The ticket is unknown, too old, or was used; get a new one."),
    "origin_not_allowed": Error(403, "Pages of this origin may not do that."),
    "project_not_allowed": Error(403, "The key does not open this project."),
    "filter_not_allowed": Error(403, "The key opens a part of the project only."),
    "admin_key_needed": Error(403, "That is for admin keys."),
    "buffer_full": Error(503, "The collector's buffer is full; retry later."),
    "broker_unavailable": Error(503, "The broker did not take the events; retry later."),
    "shutting_down": Error(503, "The process is shutting down; retry."),
    "store_unavailable": Error(503, "The store cannot be reached; retry later."),
    "parameter_invalid": Error(400, "A query parameter is not valid."),
    "query_too_large": Error(400, "The query asks for too much."),
    "not_found": Error(404, "There is nothing at this address."),
    "method_not_allowed": Error(405, "This address does not take that method."),
    "rate_limited": Error(429, "Too much in too short a time; retry later."),
    "too_many_connections": Error(429, "Too many connections are open."),
    "internal_error": Error(500, "Something failed on the server."),
}

# One event of a request is refused, its neighbours are not: code -> message.
EVENT_REASONS: Final[dict[str, str]] = {
    "event_malformed": "The event is not a JSON object.",
    "event_too_large": "The event's JSON is larger than the limit.",
    "event_field_missing": "A required field is missing.",
    "event_field_invalid": "A field has the wrong type, size or form.",
    "event_ts_invalid": "ts is not a plausible time in milliseconds.",
    "event_props_invalid": "props is too large or holds more than plain values.",
    "amount_invalid": "The amount has more than six decimals or is out of range.",
    "amount_incomplete": "amount and currency go together.",
    "currency_unsupported": "The project has no rate for this currency.",
}

# A message on the broker cannot be used and goes to the dead letters: code -> message.
MESSAGE_REASONS: Final[dict[str, str]] = {
    "message_undecodable": "Neither an Arrow batch nor JSON.",
    "message_schema_unsupported": "An Arrow batch of another schema version.",
    "message_project_missing": "Neither header nor record names the project.",
    "message_project_invalid": "What names the project is no project's name.",
    "message_values_invalid": "An Arrow batch with values that no event has.",
    "message_too_large": "An Arrow batch that unpacks to more than the limit.",
    "message_empty": "No bytes.",
    **EVENT_REASONS,
}

# An event was understood, and is left out of the metrics: code -> message.
DROP_REASONS: Final[dict[str, str]] = {
    "duplicate": "The same batch or event id came earlier.",
    "too_late": "Older than the allowed lateness.",
}
