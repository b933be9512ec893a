"""`python -m serving.app`: the query API, live push and the dashboard, on Flask and flask-sock.

Under gunicorn with gevent workers: one greenlet per socket.
"""

from gevent import monkey

if __name__ == "__main__":
    monkey.patch_all()

import logging
import signal
import sys
import time
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from types import FrameType
from typing import Any, Final, Protocol

import flask
import gevent
import msgspec
import redis
from flask_sock import Sock
from gevent.event import Event
from gunicorn.app.base import BaseApplication
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from wsproto.utilities import RemoteProtocolError

from serving import (
    access_routes,
    breakdown,
    ledger,
    live,
    messages,
    metrics,
    observe,
    once,
    openapi,
    query,
    sse,
    subscription,
)
from serving.assets import INDEX, SCRIPT, Assets
from serving.audit import Audit
from serving.buckets import Buckets, open_counter
from serving.cache import SealedCache
from serving.gate import Access, Gate
from serving.ingest.errors import RequestError
from serving.projects import (
    DEMO,
    DEMO_READ_KEY,
    DEMO_WRITE_KEY,
    Projects,
    ProjectsError,
)
from serving.push import Hub
from serving.readiness import History
from serving.replies import Replies
from serving.rounds import Rounds
from serving.seam import Reading, Stores, Unanswered
from serving.secret import new_secret, read_secret
from serving.server_log import ServerLog
from serving.settings import Settings
from serving.throttle import Throttle
from serving.wire import NoThread
from stores.cold import keeps_events, open_cold, open_events
from stores.contract import Reader, StoreUnavailable, TooMuch
from stores.hot import HotStore, open_redis
from stores.hot_reads import HotReader
from stores.ledger import LedgerReader
from telemetry import garbage, logs
from telemetry.endpoint import Endpoint

_log = logging.getLogger(__name__)

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",  # CORS is asked before it
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class RawEvents(breakdown.PageCounter, ledger.MinuteCounter, Protocol):
    """What the service asks of raw events."""


def create_app(
    settings: Settings,
    client: Any,
    projects: Projects,
    cold: Reader | None = None,
    events: RawEvents | None = None,
    secret: bytes | None = None,
    counter: Any = None,
) -> flask.Flask:
    """The application over a Redis client and a registry of projects.

    `cold` is history and `events` the raw events, where there are any. `secret` signs, see `Gate`.
    `counter` is a client that gives up sooner, for limits and tickets.
    """
    app = flask.Flask("serving", static_folder=None)
    assets = Assets()
    app.config["SOCK_SERVER_OPTIONS"] = {
        "max_message_size": live.MAX_MESSAGE_BYTES,
        "event_class": Event,
        "thread_class": NoThread,  # `Wire` reads, and pings
    }
    app.json.sort_keys = False  # type: ignore[attr-defined]
    store = HotStore(client)
    stores = Stores(HotReader(store), cold, SealedCache(client))
    replies = Replies(settings.refresh_seconds)
    book = LedgerReader(client, store)
    audit = app.extensions["audit"] = Audit(book, stores.hot, events, projects.names())
    history = History(cold)
    observe.watch(app)
    hub = app.extensions["live"] = Hub(store, client, settings.refresh_seconds)
    counts = Rounds(counter or client)
    gate = app.extensions["gate"] = Gate(projects, counts, secret or new_secret())
    asking, came = access_routes.install(app, gate, projects, settings.allowed_origins)
    throttle = app.extensions["throttle"] = Throttle(
        settings, Buckets(counts), partial(access_routes.holder, gate)
    )
    throttle.watch(app)

    def arriving() -> Access:
        """Who comes with a key or a ticket. One that is not let in has not been counted yet."""
        try:
            return came()
        except RequestError:
            if "ticket" in flask.request.args:
                throttle.admit()
            raise

    @app.get("/")
    def dashboard() -> flask.Response:
        return assets.answer(INDEX)

    @app.get("/static/<path:filename>")
    def static(filename: str) -> flask.Response:
        return assets.answer(filename)

    @app.get("/streamlens.js")
    def collector_script() -> flask.Response:
        return assets.answer(SCRIPT)

    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz")
    def readyz() -> dict[str, str]:
        client.ping()
        state = history.state()
        stopped = store.stopped()
        said = "degraded" if state == "down" or stopped else "ready"
        job = {} if stopped is None else {"job": stopped}
        return {"status": said, "hot": "up", "history": state, **job}

    described = msgspec.json.encode(openapi.document())

    @app.get("/v1/openapi.json")
    def describe() -> flask.Response:
        return flask.Response(described, mimetype="application/json")

    messages_described = msgspec.json.encode(messages.document())

    @app.get("/v1/live.schema.json")
    def describe_messages() -> flask.Response:
        return flask.Response(messages_described, mimetype="application/json")

    @app.get("/v1/config")
    def config() -> dict[str, Any]:
        demo = projects.by_name(DEMO.name) is DEMO
        return {
            "project": DEMO.name if demo else None,
            "read_key": DEMO_READ_KEY if demo else None,
            "write_key": DEMO_WRITE_KEY if demo else None,
            "collector_url": settings.collector_url,
            "refresh_seconds": settings.refresh_seconds,
        }

    def reply(question: Hashable, answer: Callable[[Reading], Any], now: float) -> flask.Response:
        body = replies.get(question, lambda: msgspec.json.encode(stores.ask(now, answer)))
        return flask.Response(body, mimetype="application/json")

    @app.get("/v1/metrics")
    def get_metrics() -> flask.Response:
        access, now = asking(), time.time()
        project = access.project
        asked = query.parse(
            flask.request.args.to_dict(flat=False),
            now,
            history=cold is not None,
            fixed=access.filters,
            zone=project.timezone,
        )
        return reply((project.name, asked), partial(metrics.answer, project, asked, now), now)

    @app.get("/v1/breakdown")
    def get_breakdown() -> flask.Response:
        access, now = asking(), time.time()
        project = access.project
        subject, asked = breakdown.parse(
            flask.request.args.to_dict(flat=False),
            now,
            history=cold is not None,
            fixed=access.filters,
            zone=project.timezone,
        )
        if subject != breakdown.PAGE:
            answer = partial(breakdown.answer, project, subject, asked, now)
        elif events is not None:
            answer = partial(breakdown.pages, events, project, asked, now)
        else:
            raise RequestError("parameter_invalid", "Pages need a store of raw events.")
        return reply((project.name, subject, asked), answer, now)

    @app.get("/v1/ledger")
    def get_ledger() -> flask.Response:
        project, now = asking().whole(), time.time()
        span = ledger.parse(flask.request.args.to_dict(flat=False), now)
        standing = audit.standing(project.name)
        answer = partial(
            ledger.answer, book, stores.hot, stores.cold, events, project, span, now, standing
        )
        body = replies.get((project.name, span), lambda: msgspec.json.encode(answer()))
        return flask.Response(body, mimetype="application/json")

    @app.get("/v1/live/sse")
    def get_live() -> flask.Response:
        access = arriving()
        arguments = flask.request.args.to_dict(flat=False)
        last = flask.request.headers.get("Last-Event-ID")
        asked = subscription.of_arguments(arguments, last, access)
        line = flask.request.environ.get("gunicorn.socket")
        limit = (lambda _: None) if line is None else line.settimeout
        events = sse.stream(hub, gate, access, asked, limit)
        return flask.Response(
            events, mimetype="text/event-stream", headers={"X-Accel-Buffering": "no"}
        )

    @app.get("/v1/live/snapshot")
    def get_snapshot() -> flask.Response:
        access = asking()
        asked = subscription.of_arguments(flask.request.args.to_dict(flat=False), None, access)
        return flask.Response(once.message(hub, access, asked), mimetype="application/json")

    @app.before_request
    def before_the_handshake() -> None:
        """flask-sock accepts a socket before its route is called: who may not is refused here."""
        rule = flask.request.url_rule
        if rule is not None and rule.websocket:
            flask.g.access = arriving()

    @Sock(app).route("/v1/live")
    def live_route(socket: Any) -> None:
        flask.g.sent = live.serve(socket, hub, gate, flask.g.access, throttle.admit)

    @app.errorhandler(RequestError)
    def refused(error: RequestError) -> flask.Response:
        answer = flask.Response(error.body(), error.status, mimetype="application/json")
        if error.status == 503:
            answer.headers["Retry-After"] = "2"
        return answer

    @app.errorhandler(Unanswered)
    def unanswered(_: Unanswered) -> flask.Response:
        return refused(RequestError("store_unavailable"))

    @app.errorhandler(StoreUnavailable)
    def one_away(error: StoreUnavailable) -> flask.Response:
        return refused(RequestError("store_unavailable", str(error)))

    @app.errorhandler(TooMuch)
    def too_much(error: TooMuch) -> flask.Response:
        return refused(RequestError("query_too_large", str(error)))

    @app.errorhandler(RemoteProtocolError)
    def no_handshake(_: RemoteProtocolError) -> flask.Response:
        return refused(RequestError("parameter_invalid", "This is no handshake of a WebSocket."))

    @app.errorhandler(redis.RedisError)
    def store_away(error: redis.RedisError) -> flask.Response:
        _log.warning("the store is away: %s", error)
        return refused(RequestError("store_unavailable"))

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> flask.Response:
        codes = {404: "not_found", 405: "method_not_allowed", 413: "body_too_large"}
        answer = refused(RequestError(codes.get(error.code or 500, "parameter_invalid")))
        if isinstance(error, MethodNotAllowed) and error.valid_methods:
            answer.headers["Allow"] = ", ".join(sorted(error.valid_methods))
        return answer

    @app.errorhandler(Exception)
    def failed(error: Exception) -> flask.Response:
        logs.failed(_log, "a request failed", error)
        return refused(RequestError("internal_error"))

    @app.after_request
    def headers(response: flask.Response) -> flask.Response:
        for name, value in (*HEADERS.items(), ("Cache-Control", "no-store")):
            response.headers.setdefault(name, value)
        return response

    return app


class Server(BaseApplication):
    """gunicorn with gevent workers, started from Python."""

    def __init__(self, settings: Settings, projects: Projects, secret: bytes) -> None:
        self._settings = settings
        self._projects = projects
        self._secret = secret
        super().__init__()

    def load_config(self) -> None:
        """gunicorn's settings."""
        for name, value in {
            "bind": f"{self._settings.host}:{self._settings.port}",
            "worker_class": "gevent",
            "worker_connections": 12_000,
            "workers": self._settings.workers,
            "graceful_timeout": 5,
            "keepalive": 30,  # seconds; a dashboard that polls keeps its connection
            "accesslog": None,
            "loglevel": "warning",
            "logger_class": ServerLog,
        }.items():
            self.cfg.set(name, value)

    def load(self) -> flask.Flask:
        """The application, made in the worker."""
        settings = self._settings
        client = open_redis(settings.redis_url)
        Endpoint("service", settings.metrics_host, settings.metrics_port).open()
        url = settings.history_url
        events = open_events(url) if keeps_events(url) else None
        counter = open_counter(settings.redis_url)
        app = create_app(
            settings, client, self._projects, open_cold(url), events, self._secret, counter
        )
        gevent.spawn(app.extensions["audit"].run)
        gevent.spawn(access_routes.follow, self._projects, app.extensions["gate"])
        _at_stop(app.extensions["live"].stop)
        garbage.seldom(whole=10)  # ten thousand sockets are a million objects
        return app


def _at_stop(let_go: Callable[[], None]) -> None:
    """At SIGTERM close the sockets first, so that gunicorn has none to wait for."""
    before = signal.getsignal(signal.SIGTERM)

    def stop(number: int, frame: FrameType | None) -> None:
        let_go()
        if callable(before):
            before(number, frame)

    signal.signal(signal.SIGTERM, stop)


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM."""
    settings = Settings.parse(sys.argv[1:] if argv is None else argv)
    logs.configure(settings.log_format)
    try:
        projects = Projects.load(settings.projects, settings.host)
        secret = new_secret() if settings.secret is None else read_secret(settings.secret)
    except (ProjectsError, OSError, ValueError) as error:
        print(f"serving.app: {error}", file=sys.stderr)
        return 2
    Server(settings, projects, secret).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
