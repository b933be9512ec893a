"""The OpenAPI 3.1 document of the service, made from the names and limits that the code checks."""

from typing import Any, Final

from events.reasons import REQUEST_ERRORS
from serving import breakdown, ledger, query, shape, subscription, times
from serving.arguments import PROJECT
from serving.gate import MAX_SHARE_SECONDS, MIN_SHARE_SECONDS, SHARE_SECONDS
from serving.subscription import LATEST
from stores.pane import DIMENSIONS

_NAME: Final = {"type": "string"}
_COUNT: Final = {"type": "array", "items": {"type": ["integer", "null"]}}
_REAL: Final = {"type": "array", "items": {"type": ["number", "null"]}}
_STATUSES: Final = ("none", "partial", "final", "revised", "missing")
_TIME: Final = "ISO 8601 (UTC unless it names a zone), epoch seconds, now, or relative: -24h."
_WHEN: Final = {
    "type": "string",
    "anyOf": [
        {"pattern": "^-[0-9]{1,3}[smhdw]$"},
        {"pattern": "^[0-9]{10}$"},
        {"format": "date-time"},
        {"const": "now"},
    ],
}
_TIMES: Final = {"type": "array", "items": {"type": "integer"}}
_TIMES_OR_NULL: Final = {"type": ["array", "null"], "items": {"type": "integer"}}
_LIMIT_HEADERS: Final = {
    "Retry-After": {
        "schema": {"type": "integer", "minimum": 1},
        "description": "Seconds; with `rate_limited`.",
    },
    "RateLimit-Policy": {
        "schema": {"type": "string"},
        "description": "Each limit by its setting: q at once, w seconds until all are back.",
    },
    "RateLimit": {
        "schema": {"type": "string"},
        "description": "Of each limit: r are left; t seconds until there are any.",
    },
}

_PARAMETERS: Final[dict[str, dict[str, Any]]] = {
    "start": {"schema": {**_WHEN, "default": "-24h"}, "description": _TIME},
    "end": {
        "schema": {**_WHEN, "default": "now"},
        "description": f"Exclusive. {_TIME} now includes the step in progress.",
    },
    "granularity": {
        "schema": {"enum": list(times.GRANULARITIES), "default": "1m"},
        "description": f"Width of the steps, at most {times.MAX_STEPS:,} of them.",
    },
    "timezone": {
        "schema": {
            "type": "string",
            "anyOf": [{"enum": ["UTC", "Europe/Berlin", "Asia/Kolkata"]}, {"minLength": 1}],
        },
        "description": "Where days of granularity 1d begin, as an IANA name; else the project's.",
    },
    "metrics": {
        "schema": {"type": "array", "items": {"enum": list(query.METRICS)}, "default": ["events"]},
        "description": "What to count.",
    },
    "filter": {
        "schema": {
            "type": "array",
            "items": {"type": "string", "pattern": f"^({'|'.join(DIMENSIONS)}):"},
        },
        "description": f"dimension:value, of {', '.join(DIMENSIONS)}; several values of one "
        f"dimension mean any of them, at most {query.MAX_VALUES}.",
    },
    "dimensions": {
        "schema": {"type": "array", "items": {"enum": list(query.GROUPS)}},
        "description": "Group by these. With type the only metric is events.",
    },
    "limit": {
        "schema": {"type": "integer", "minimum": 1, "maximum": query.MAX_LIMIT},
        "description": "How many groups are named; the rest is `other`.",
    },
    "order": {
        "schema": {
            "enum": [name + way for name in query.ORDERS for way in ("", ":asc", ":desc")],
            "default": "events",
        },
        "description": "By what the groups that are named are chosen.",
    },
    "compare": {
        "schema": {"enum": list(query.COMPARE)},
        "description": "Also answer for an earlier range.",
    },
    "since": {
        "schema": {"type": "number", "minimum": 0, "maximum": LATEST},
        "description": "as_of of the last message for the same filter, metrics and dimensions; "
        "in an event stream Last-Event-ID says it too.",
    },
    "ticket": {
        "schema": {"type": "string"},
        "description": "Of POST /v1/tickets, in place of a key: browsers send no header here.",
    },
    PROJECT: {
        "schema": {"type": "string"},
        "description": "Whose numbers; an admin key has to say so.",
    },
    "dimension": {
        "schema": {"enum": list(breakdown.SUBJECTS)},
        "required": True,
        "description": "Of what. Pages need raw events in ClickHouse.",
    },
}
_LIVE_PARAMETERS: Final[dict[str, dict[str, Any]]] = {
    **_PARAMETERS,
    "metrics": {
        "schema": {
            "type": "array",
            "items": {"enum": list(shape.METRICS)},
            "minItems": 1,
            "uniqueItems": True,
            "default": list(shape.SHOWN),
        },
        "description": "The columns of a message.",
    },
    "dimensions": {
        "schema": {"type": "array", "items": {"enum": list(DIMENSIONS)}, "uniqueItems": True},
        "description": "Whose top values of the last hour are in `top`.",
    },
    "recent": {
        "schema": {"enum": ["0", "1"], "default": "0"},
        "description": "Whether the events that came in last are in `recent`.",
    },
}


def document() -> dict[str, Any]:
    """The document, as served at /v1/openapi.json."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "streamlens", "version": "1", "description": _ABOUT},
        "paths": {
            "/v1/metrics": {"get": _metrics()},
            "/v1/breakdown": {"get": _breakdown()},
            "/v1/ledger": {"get": _ledger()},
            "/v1/live/sse": {"get": _live()},
            "/v1/live/snapshot": {"get": _once()},
            "/v1/access": {"get": _access()},
            "/v1/tickets": {"post": _tickets()},
            "/v1/shares": {"post": _shares()},
            "/v1/keys": {"get": _keys()},
            "/v1/config": {"get": _config()},
            "/v1/openapi.json": {"get": _plain("openapi", "This document.")},
            "/v1/live.schema.json": {"get": _plain("messages", "The messages of /v1/live.")},
            "/healthz": {"get": _plain("healthz", "The process runs.")},
            "/readyz": {
                "get": _plain("readyz", "The hot store answers.", ["store_unavailable"]),
            },
        },
        "components": {
            "securitySchemes": {
                "header": {"type": "apiKey", "in": "header", "name": "X-Read-Key"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
            "schemas": {
                "Error": _object(
                    {
                        "error": _object(
                            {"code": {"enum": list(REQUEST_ERRORS)}, "message": _NAME}, strict=True
                        )
                    },
                    strict=True,
                ),
                "Missing": _object(
                    {
                        "start": {"type": "integer"},
                        "end": {"type": "integer"},
                        "store": _NAME,
                        "reason": _NAME,
                    }
                ),
                "Served": _object(
                    {"store": _NAME, "start": {"type": "integer"}, "end": {"type": "integer"}}
                ),
                "Series": _series(),
                "Period": _object(_period()),
                "Metrics": _object(
                    {**_head(), "granularity": {"enum": list(times.STEPS)}, **_period()},
                    {"compare": {"$ref": "#/components/schemas/Period"}},
                ),
                "Ledger": _object(
                    {
                        "project": _NAME,
                        "as_of": {"type": "number"},
                        "start": {"type": "integer"},
                        "end": {"type": "integer"},
                        "time": {**_TIMES, "description": "Minutes of receipt."},
                        "rejected": {"type": "object", "additionalProperties": _TIMES},
                        "dead": {"type": "object", "additionalProperties": _TIMES},
                        **dict.fromkeys(ledger.COLUMNS, _TIMES),
                        "total": {"type": "object"},
                        "stored": _object(
                            {
                                "time": {**_TIMES, "description": "Minutes of events."},
                                "hot": _TIMES,
                                "history": _TIMES_OR_NULL,
                                "raw_events": _TIMES_OR_NULL,
                                "other": {"type": "object", "additionalProperties": _TIMES},
                            },
                            strict=True,
                        ),
                        "paths": _object(
                            {
                                "compared": {"type": "integer"},
                                "differences": {"type": "array", "items": {"type": "object"}},
                                "unavailable": {"type": ["string", "null"]},
                            },
                            strict=True,
                        ),
                    },
                    strict=True,
                ),
                "Access": _object(
                    {
                        "project": _NAME,
                        "currency": _NAME,
                        "timezone": {**_NAME, "description": "The project's, an IANA name."},
                        "filter": {"type": "object", "additionalProperties": _NAME},
                        "expires": {"type": ["integer", "null"], "description": "Epoch seconds."},
                    },
                    strict=True,
                ),
                "Ticket": _object({"ticket": _NAME, "seconds": {"type": "integer"}}, strict=True),
                "Share": _object(
                    {
                        "id": {**_NAME, "description": "To revoke it by."},
                        "key": {**_NAME, "description": "Reads as a read key does."},
                        "path": {**_NAME, "description": "Of the dashboard that it opens."},
                        "filter": {"type": "object", "additionalProperties": _NAME},
                        "expires": {"type": "integer", "description": "Epoch seconds."},
                    },
                    strict=True,
                ),
                "Breakdown": _object(
                    {
                        **_head(),
                        "dimension": {"enum": list(breakdown.SUBJECTS)},
                        "status": {"enum": list(_STATUSES)},
                        "values": {"type": "array", "items": _NAME},
                    },
                    {
                        "share": _REAL,
                        **{name: {**_REAL, "type": ["array", "null"]} for name in query.METRICS},
                        "compare": {"type": "object"},
                    },
                ),
            },
        },
    }


_ABOUT: Final = (
    "Numbers of one project, from the last minutes to years back, whatever store holds them. Times "
    "are epoch seconds. Unique users are unions of sketches, never sums; where no union is kept "
    "`unavailable` says why. A step that misses minutes is null, and `missing` says which."
)


def _metrics() -> dict[str, Any]:
    return _operation(
        "metrics", "Columns of numbers per step and series.", query.PARAMETERS, "Metrics"
    )


def _breakdown() -> dict[str, Any]:
    return _operation(
        "breakdown", "The top values of one dimension.", breakdown.PARAMETERS, "Breakdown"
    )


def _ledger() -> dict[str, Any]:
    return _operation(
        "ledger", "What was sent against what was counted, by minute.", ledger.PARAMETERS, "Ledger"
    )


def _live() -> dict[str, Any]:
    """Without an end, so its answer is no JSON."""
    found = _live_operation("live", "Live numbers as server-sent events.", ("ticket",))
    found["responses"] |= _refusals(["rate_limited", "too_many_connections"])
    found["responses"]["200"] = {
        "description": "A message of /v1/live.schema.json in each event, whose id is its as_of.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
    return found


def _once() -> dict[str, Any]:
    found = _live_operation("snapshot", "One message of the live numbers.", ())
    found["responses"]["200"] = _json(
        "A snapshot or delta of /v1/live.schema.json.", {"type": "object"}
    )
    return found


def _live_operation(name: str, summary: str, more: tuple[str, ...]) -> dict[str, Any]:
    found = _operation(name, summary, (), "Metrics")
    names = (*subscription.PARAMETERS, *more, PROJECT)
    return found | {"parameters": [_parameter(name, _LIVE_PARAMETERS) for name in names]}


def _access() -> dict[str, Any]:
    return _operation("access", "What the key opens.", (), "Access")


def _tickets() -> dict[str, Any]:
    """A body is read, and not looked at."""
    return {
        **_operation("ticket", "A ticket for one connection to /v1/live, soon.", (), "Ticket"),
        "responses": {
            "201": _json("It.", {"$ref": "#/components/schemas/Ticket"}),
            **_refusals([*_BY_KEY, *_BY_BODY, "parameter_invalid", "origin_not_allowed"]),
        },
    }


def _shares() -> dict[str, Any]:
    wish = {
        "type": "object",
        "properties": {
            "filter": {
                "type": "object",
                "properties": dict.fromkeys(DIMENSIONS, _VALUE),
                "additionalProperties": False,
                "description": "A value of each of these dimensions; the link opens that only.",
            },
            "seconds": {
                "type": "integer",
                "minimum": MIN_SHARE_SECONDS,
                "maximum": MAX_SHARE_SECONDS,
                "default": SHARE_SECONDS,
                "description": "Until it ends.",
            },
        },
        "additionalProperties": False,
    }
    return {
        **_operation("share", "A read-only link to a part of the numbers.", (), "Share"),
        "requestBody": {"content": {"application/json": {"schema": wish}}},
        "responses": {
            "201": _json("It.", {"$ref": "#/components/schemas/Share"}),
            **_refusals(
                [*_BY_KEY, *_BY_BODY, "parameter_invalid", "body_malformed", "origin_not_allowed"]
            ),
        },
    }


def _keys() -> dict[str, Any]:
    return {
        "operationId": "keys",
        "summary": "All projects and keys, without what opens; for admin keys.",
        "security": _SECURITY,
        "responses": {
            "200": _json("They.", {"type": "object"}),
            **_refusals([*_BY_KEY, "admin_key_needed"]),
        },
    }


_VALUE: Final = {"type": "string", "minLength": 1, "maxLength": query.MAX_VALUE_CHARS}
_SECURITY: Final[list[dict[str, list[str]]]] = [{"header": []}, {"bearer": []}]
_BY_KEY: Final = (
    *("read_key_missing", "read_key_unknown", "read_key_revoked", "read_key_expired"),
    *("project_not_allowed", "filter_not_allowed", "rate_limited"),
)
_BY_BODY: Final = ("body_too_large", "body_incomplete")


def _config() -> dict[str, Any]:
    return _plain("config", "What a dashboard on this machine needs.", ["rate_limited"])


def _operation(name: str, summary: str, parameters: tuple[str, ...], schema: str) -> dict[str, Any]:
    refusals = ["parameter_invalid", "query_too_large", *_BY_KEY, "store_unavailable"]
    return {
        "operationId": name,
        "summary": summary,
        "security": _SECURITY,
        "parameters": [_parameter(parameter) for parameter in (*parameters, PROJECT)],
        "responses": {
            "200": _json("The numbers.", {"$ref": f"#/components/schemas/{schema}"}),
            **_refusals(refusals),
        },
    }


def _parameter(name: str, known: dict[str, dict[str, Any]] = _PARAMETERS) -> dict[str, Any]:
    found = {"name": name, "in": "query", **known[name]}
    if found["schema"].get("type") == "array":
        found |= {"style": "form", "explode": name == "filter"}
    return found


def _plain(name: str, summary: str, refusals: list[str] | None = None) -> dict[str, Any]:
    return {
        "operationId": name,
        "summary": summary,
        "responses": {"200": _json("As said.", {"type": "object"}), **_refusals(refusals or [])},
    }


def _refusals(codes: list[str]) -> dict[str, Any]:
    """Responses by status; several codes may share one."""
    found: dict[str, list[str]] = {}
    for code in codes:
        found.setdefault(str(REQUEST_ERRORS[code].status), []).append(code)
    error = {"$ref": "#/components/schemas/Error"}
    refusals = {
        status: _json(" ".join(f"`{c}`: {REQUEST_ERRORS[c].message}" for c in several), error)
        for status, several in found.items()
    }
    if "429" in refusals:
        refusals["429"]["headers"] = _LIMIT_HEADERS
    return refusals


def _json(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _object(
    required: dict[str, Any], optional: dict[str, Any] | None = None, *, strict: bool = False
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
    }
    return found | ({"additionalProperties": False} if strict else {})


def _head() -> dict[str, Any]:
    return {
        "project": _NAME,
        "currency": {"type": "string", "pattern": "^[A-Z]{3}$"},
        "timezone": _NAME,
        "as_of": {"type": "number"},
        "boundary": {
            "type": ["integer", "null"],
            "description": "Minutes before are from history, from here on from the hot store.",
        },
        "unique_users_standard_error": {"type": "number"},
        "unavailable": {"type": "object", "additionalProperties": _NAME},
    }


def _period() -> dict[str, Any]:
    schemas = "#/components/schemas"
    return {
        "start": {"type": "integer"},
        "end": {"type": "integer"},
        "served": {"type": "array", "items": {"$ref": f"{schemas}/Served"}},
        "missing": {"type": "array", "items": {"$ref": f"{schemas}/Missing"}},
        "time": {**_TIMES, "description": "Where each step begins."},
        "status": {"type": "array", "items": {"enum": list(_STATUSES)}},
        "series": {"type": "array", "items": {"$ref": f"{schemas}/Series"}},
    }


def _series() -> dict[str, Any]:
    """One column per metric that was asked for; null where `unavailable` says why."""
    columns = {name: {**_COUNT, "type": ["array", "null"]} for name in query.COUNTS}
    columns |= {
        name: {**_REAL, "type": ["array", "null"]}
        for name in ("error_rate", "revenue", "conversion", "unique_users_error")
    }
    columns |= {
        name: {**_COUNT, "type": ["array", "null"]} for name in ("revenue_micros", "unique_users")
    }
    columns["active_users"] = {"type": ["integer", "null"]}
    dimensions = {"type": "object", "additionalProperties": _NAME}
    return _object({"dimensions": dimensions}, columns, strict=True)
