"""The addresses about access, and what stands before all others: keys, origins, CORS.

Reading is for pages of the service's own origin and of those on the list; the rest of the world's
pages get no CORS header, and their sockets and POSTs are refused. No cookie is ever looked at.
"""

import socket
from collections.abc import Callable
from typing import Annotated, Any, Final

import flask
import gevent
import msgspec
from msgspec import Meta

from serving import query
from serving.arguments import PROJECT, separated
from serving.credentials import Dimension, Value, described, origin_matches
from serving.gate import (
    MAX_SHARE_SECONDS,
    MIN_SHARE_SECONDS,
    SHARE_SECONDS,
    TICKET_SECONDS,
    Access,
    Gate,
    Holder,
    key_of,
)
from serving.ingest.errors import RequestError
from serving.limit_headers import NAMES
from serving.projects import FOLLOW_SECONDS, Projects
from telemetry import metrics

MAX_BODY_BYTES: Final = 4_096
BODY_SECONDS: Final = 5.0
_CREATED: Final = 201
_CORS: Final = {
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Last-Event-ID, X-Read-Key",
    "Access-Control-Expose-Headers": f"Retry-After, {NAMES}",
    "Access-Control-Max-Age": "600",
}


class _Wish(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `POST /v1/shares`."""

    filter: dict[Dimension, Value] = {}
    seconds: Annotated[int, Meta(ge=MIN_SHARE_SECONDS, le=MAX_SHARE_SECONDS)] = SHARE_SECONDS


def install(
    app: flask.Flask, gate: Gate, projects: Projects, allowed_origins: str
) -> tuple[Callable[[], Access], Callable[[], Access]]:
    """Add them. Two functions come back that say, in a request, who asks, or raise RequestError.

    The first wants a key, the second takes a ticket too.
    """
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    origins = separated(allowed_origins)

    def listed() -> bool:
        origin = flask.request.headers.get("Origin")
        return origin is not None and origin_matches(origin, origins)

    @app.before_request
    def origin_may() -> None:
        origin, rule = flask.request.headers.get("Origin"), flask.request.url_rule
        if origin is None or rule is None:
            return
        if rule.websocket or flask.request.method == "POST":
            own = {f"{scheme}://{flask.request.host}" for scheme in ("http", "https")}
            if origin not in own and not listed():
                raise RequestError("origin_not_allowed")

    @app.after_request
    def cross_origin(response: flask.Response) -> flask.Response:
        if flask.request.path.startswith("/v1/"):
            response.vary.add("Origin")
            if listed():
                response.headers.update(_CORS)
                origin = flask.request.headers["Origin"]
                response.headers["Access-Control-Allow-Origin"] = origin
        return response

    def asking() -> Access:
        return gate.reader(_key(), flask.request.args.get(PROJECT))

    def arriving() -> Access:
        ticket = flask.request.args.get("ticket")
        return asking() if ticket is None else gate.redeem(ticket)

    @app.get("/v1/access")
    def get_access() -> dict[str, Any]:
        access = asking()
        return {
            "project": access.project.name,
            "currency": access.project.currency,
            "timezone": access.project.timezone,
            "filter": dict(access.filters),
            "expires": gate.ends(access),
        }

    @app.post("/v1/tickets")
    def post_ticket() -> tuple[dict[str, Any], int]:
        _body()
        return {"ticket": gate.ticket(asking()), "seconds": TICKET_SECONDS}, _CREATED

    @app.post("/v1/shares")
    def post_share() -> tuple[dict[str, Any], int]:
        access = asking()
        try:
            wish = msgspec.json.decode(_body() or b"{}", type=_Wish)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise RequestError("body_malformed", f"{error}.") from None
        query.check_filter({name: (value,) for name, value in wish.filter.items()})
        share = gate.share(access, wish.filter, wish.seconds)
        found = {"id": share.id, "key": share.token, "path": f"/#share={share.token}"}
        return found | {"filter": share.filter, "expires": share.ends}, _CREATED

    @app.get("/v1/keys")
    def get_keys() -> dict[str, Any]:
        gate.admin(_key())
        file = projects.index.file
        known = [
            {
                "name": project.name,
                "currency": project.currency,
                "write_keys": [described(key) for key in project.write_keys],
                "read_keys": [described(key) for key in project.read_keys],
            }
            for project in file.projects
        ]
        return {
            "projects": known,
            "admin_keys": [described(key) for key in file.admin_keys],
            "revoked_shares": file.revoked_shares,
        }

    return asking, arriving


def holder(gate: Gate) -> Holder | None:
    """Whose limits count for a request; None when it says no key."""
    key, ticket = _key(), flask.request.args.get("ticket")
    return gate.holder(key, ticket) if key or ticket is not None else None


def follow(projects: Projects, gate: Gate) -> None:
    """Keep to the registry for ever: who may no more is put out."""
    while True:
        gevent.sleep(FOLLOW_SECONDS)
        metrics.SERVICE_REGISTRY.inc(projects.refresh())
        gate.sweep()


def _key() -> str:
    headers = flask.request.headers
    return key_of(headers.get("Authorization", ""), headers.get("X-Read-Key", ""))


def _body() -> bytes:
    """All of a request's body. One that comes too slowly is refused, and nothing more is read."""
    try:
        with gevent.Timeout(BODY_SECONDS):
            return flask.request.get_data()
    except gevent.Timeout:
        line = flask.request.environ.get("gunicorn.socket")
        if line is not None:
            line.shutdown(socket.SHUT_RD)
        raise RequestError("body_incomplete") from None
