"""The messages of `/v1/live` as a JSON Schema, made from the names and limits that the code checks.

A client sends `subscribe`, once or whenever it wants something else. It is sent a `snapshot` of the
last 24 hours, or, when it said `since` and that is known, a `delta` of what it missed; then a
`delta` whenever something has changed, and at every refresh in any case. After an `error` whose
code is `store_unavailable` it goes on, with numbers as soon as there are any; any other error ends
the connection. New kinds of messages and new properties are no new version: leave out what you do
not know.
"""

from typing import Any, Final

from events.reasons import REQUEST_ERRORS
from serving.live import LATEST
from serving.query import MAX_VALUE_CHARS
from serving.view import SHOWN
from stores.pane import DIMENSIONS, STATUS_NAMES

_TEXT: Final = {"type": "string"}
_WHOLE: Final = {"type": "integer"}
_REAL: Final = {"type": "number"}
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
        "since": {
            "type": ["number", "null"],
            "minimum": 0,
            "maximum": LATEST,
            "description": "`as_of` of the last message for the same filter, whose numbers are "
            "still there.",
        },
    }
    return found


def _numbers(kind: str, said: str) -> dict[str, Any]:
    columns = dict.fromkeys(SHOWN, _column(_WHOLE))
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
            "filter": {"type": "object", "additionalProperties": _TEXT},
            "as_of": {**_REAL, "description": f"{_SECONDS}: all numbers are at least of then."},
            "job": _object(job),
            "time": _column({**_WHOLE, "description": f"{_SECONDS}: where a minute begins."}),
            "events": _column(_WHOLE),
            "revenue": _column(_REAL),
            "status": _column({"enum": list(STATUS_NAMES)}),
            "now": _object(now),
            **columns,
        }
    )
    return {**found, "description": said}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    """With all of these."""
    return {"type": "object", "properties": dict(properties), "required": list(properties)}


def _column(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _or_null(schema: dict[str, Any], said: str) -> dict[str, Any]:
    return {**schema, "type": [schema["type"], "null"], "description": said}
