"""The messages of `/v1/live` as a JSON Schema, made from the names and limits that the code checks.

A client sends `subscribe`, once or whenever it wants something else. It is sent a `snapshot` of the
last 24 hours, or, when it said `since` and that is known, a `delta` of what it missed; then a
`delta` whenever something has changed, and at every refresh in any case: when nothing comes in any
more, its minutes are empty, and the figures of `now` fall. `metrics` chooses the columns;
`dimensions` asks for `top`, the largest values of the last hour, which are read every ten seconds,
and are in a snapshot, in the delta of what was missed, and in any other delta when they have
changed. `recent` asks for the events that came in last, a sample where there are many: the last of
them in a snapshot, then those that are new (one may come twice, under the same `id`).

After an `error` whose code is `store_unavailable` it goes on, with numbers as soon as there are
any; any other error ends the connection. `announce` is no numbers either. Its reason says what it
is about. `degraded`: the service cannot keep its pace, and `refresh_seconds` is the longest time
between two messages from now on; said once for each change, and to whoever comes meanwhile.
`normal`: the usual pace again. `leaving`: the process stops (a deployment), and closes the
connection with 1001. Come back after a random part of `reconnect_within_seconds`, so that not all
come at once, and do not take it for a failure; `since` still holds.

Who says `tickets` is sent a `ticket` now and then: should the connection be lost, the next one is
opened with the newest of them, once, and needs no request for one before it.

The service pings every 40 seconds with the WebSocket's own ping, which every client library
answers by itself; who is not heard of for 100 seconds is cut. Server-sent events have a comment
every 15 silent seconds. Who does not read is sent a snapshot in place of what it missed, and at the
next time is closed with 1013. New kinds of messages, reasons and properties are no new version:
leave out what you do not know.
"""

from typing import Any, Final

from events.reasons import REQUEST_ERRORS
from serving import notices, top
from serving.query import MAX_VALUE_CHARS
from serving.shape import METRICS, SHOWN
from serving.subscription import LATEST
from stores.pane import DIMENSIONS, STATUS_NAMES

_TEXT: Final = {"type": "string"}
_WHOLE: Final = {"type": "integer"}
_REAL: Final = {"type": "number"}
_FLAG: Final = {"type": ["boolean", "null"]}
_SECONDS: Final = "epoch seconds"
_VALUE: Final = {"type": "string", "maxLength": MAX_VALUE_CHARS}


def document() -> dict[str, Any]:
    """The schema, as served at /v1/live.schema.json: any message, of either side."""
    kinds = {
        "subscribe": _subscribe(),
        "snapshot": _numbers("snapshot", "All minutes of the last 24 hours, in their order."),
        "delta": _numbers(
            "delta",
            "The minutes that have changed, in their order: each takes the place of the one that "
            "is known, and minutes over 24 hours old are left out from now on.",
        ),
        "announce": _announce(),
        "ticket": _object(
            {
                "type": {"const": "ticket"},
                "ticket": _TEXT,
                "seconds": {**_WHOLE, "minimum": 1, "description": "How long it can be used."},
            }
        ),
        "error": _object(
            {
                "type": {"const": "error"},
                "code": {"enum": list(REQUEST_ERRORS)},
                "message": _TEXT,
            }
        ),
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "streamlens /v1/live",
        "description": (__doc__ or "").partition("\n\n")[2],
        "oneOf": [{"$ref": f"#/$defs/{name}"} for name in kinds],
        "$defs": kinds,
    }


def _subscribe() -> dict[str, Any]:
    found = _object({"type": {"const": "subscribe"}})
    found["properties"] |= {
        "filter": {
            "type": ["object", "null"],
            "properties": dict.fromkeys(DIMENSIONS, _VALUE),
            "additionalProperties": False,
            "description": "None, one or several dimensions, with a value each.",
        },
        "metrics": {
            **_names(METRICS),
            "minItems": 1,
            "description": f"Columns of the minutes; by default all but {METRICS[-1]}.",
        },
        "dimensions": {
            **_names(DIMENSIONS),
            "description": "Whose top values are wanted; by default of none.",
        },
        "recent": {**_FLAG, "description": "Whether single events are wanted."},
        "tickets": {**_FLAG, "description": "Whether tickets to come back with are wanted."},
        "since": {
            "type": ["number", "null"],
            "minimum": 0,
            "maximum": LATEST,
            "description": "`as_of` of the last message for the same filter, metrics and "
            "dimensions, whose numbers are still there.",
        },
    }
    return found


def _announce() -> dict[str, Any]:
    """One or the other property, by the reason."""
    paced = {
        "reason": {"enum": ["degraded", "normal"]},
        "refresh_seconds": {**_REAL, "exclusiveMinimum": 0},
    }
    within = {"type": "integer", "minimum": notices.SOONEST, "maximum": notices.LATEST}
    leaving = {"reason": {"const": "leaving"}, "reconnect_within_seconds": within}
    kind = {"type": {"const": "announce"}}
    return {"oneOf": [_object({**kind, **paced}), _object({**kind, **leaving})]}


def _numbers(kind: str, said: str) -> dict[str, Any]:
    columns = {name: _column(_REAL if name == "revenue" else _WHOLE) for name in METRICS}
    now = {
        "active_users": _or_null(_WHOLE, "Of the last five minutes; none with several filters."),
        "active_users_error": _or_null(_REAL, "Its standard error, in users."),
        "events_per_second": _REAL,
        "revenue_per_hour": _REAL,
        "error_rate": _or_null(_REAL, "Of the last five minutes' events; null without any."),
    }
    job = {
        "alive": {"type": "boolean"},
        "last_beat": _or_null(_WHOLE, _SECONDS),
        "log_lost_since": _or_null(_WHOLE, f"{_SECONDS}: the event log does not answer."),
    }
    found = _object(
        {
            "type": {"const": kind},
            "seq": {**_WHOLE, "description": "Grows with every message of one process's feed."},
            "project": _TEXT,
            "currency": {"type": "string", "pattern": "^[A-Z]{3}$"},
            "timezone": {**_TEXT, "description": "The project's, an IANA name."},
            "filter": {"type": "object", "additionalProperties": _TEXT},
            "as_of": {**_REAL, "description": f"{_SECONDS}: all numbers are at least of then."},
            "job": _object(job),
            "time": _column({**_WHOLE, "description": f"{_SECONDS}: where a minute begins."}),
            "status": _column({"enum": list(STATUS_NAMES)}),
            "now": _object(now),
        }
    )
    ranked = {
        "type": "object",
        "properties": dict.fromkeys(DIMENSIONS, _top()),
        "additionalProperties": False,
        "description": "The largest values of dimensions, of what passes the filter.",
    }
    events = {
        "type": "array",
        "items": {"oneOf": [_accepted(), _refused()]},
        "description": "Events that came in last, oldest first.",
    }
    found["properties"] |= {**columns, "top": ranked, "recent": events}
    return {**found, "description": f"{said} Of the columns those that were asked for."}


def _accepted() -> dict[str, Any]:
    text = {"type": ["string", "null"]}
    return _object(
        {
            **_entry(accepted=True),
            "type": _TEXT,
            "url": {**text, "description": "Without its query."},
            "category": text,
            "country": _TEXT,
            "device": _TEXT,
            "revenue": _or_null(_REAL, "Of a purchase, in the project's currency."),
        }
    )


def _refused() -> dict[str, Any]:
    """An event, or a whole request."""
    return _object({**_entry(accepted=False), "code": _TEXT, "message": _TEXT})


def _entry(*, accepted: bool) -> dict[str, Any]:
    return {
        "id": _TEXT,
        "at": {**_WHOLE, "description": "Epoch ms, when it was received."},
        "accepted": {"const": accepted},
    }


def _top() -> dict[str, Any]:
    """As columns over the values of one dimension."""
    columns = {name: _column(_REAL if name == "revenue" else _WHOLE) for name in SHOWN}
    values = f"At most {top.LIMIT}, most events first; then `other`, which is the rest, if any."
    share = {"type": ["number", "null"], "description": "Of the events of all; null of none."}
    return _object(
        {
            "start": {**_WHOLE, "description": _SECONDS},
            "end": {**_WHOLE, "description": f"{_SECONDS}, exclusive: in the minute in progress."},
            "values": {**_column(_TEXT), "maxItems": top.LIMIT + 1, "description": values},
            **columns,
            "share": _column(share),
        }
    )


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    """With all of these."""
    return {"type": "object", "properties": dict(properties), "required": list(properties)}


def _names(allowed: tuple[str, ...]) -> dict[str, Any]:
    """Some of these, each at most once."""
    return {"type": ["array", "null"], "items": {"enum": list(allowed)}, "uniqueItems": True}


def _column(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _or_null(schema: dict[str, Any], said: str) -> dict[str, Any]:
    return {**schema, "type": [schema["type"], "null"], "description": said}
