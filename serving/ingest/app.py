"""The collector as a raw ASGI application: routes, headers and answers.

Raw, because this is the one place in the product where a request's fixed cost counts.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final
from urllib.parse import parse_qs

import msgspec

from events.address import TrustedProxies
from events.agent import classify
from events.geo import CountryLookup
from serving.credentials import origin_matches
from serving.ingest.body import Receive, check_headers, gunzip, receive_body
from serving.ingest.budget import Budget
from serving.ingest.buffers import Buffers
from serving.ingest.errors import ClientGone, Headers, RequestError
from serving.ingest.intake import Intake, now_ms
from serving.ingest.leases import Leases
from serving.ingest.ledger import Ledger
from serving.ingest.limits import Limits
from serving.ingest.memory import Memory
from serving.ingest.producer import Broker
from serving.ingest.reader import Read
from serving.ingest.readiness import Readiness
from serving.ingest.settings import Settings
from serving.limit_headers import NAMES
from serving.projects import FOLLOW_SECONDS, Project, Projects, Writer
from telemetry import logs, metrics

_log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

# Any page may send; no cookie is ever looked at.
_JSON: Final[Headers] = [
    (b"content-type", b"application/json"),
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", f"Retry-After, {NAMES}".encode()),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
]
_PREFLIGHT: Final[Headers] = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"POST, OPTIONS"),
    (b"access-control-allow-headers", b"Content-Type, Content-Encoding, X-Write-Key"),
    (b"access-control-max-age", b"86400"),
    (b"content-length", b"0"),
]
# The rest of such a body is not worth receiving.
_CLOSING: Final = frozenset({"body_too_large", "body_incomplete"})
_SENDERS: Final = (400, 413, 415)  # what is wrong with these only their sender can change
_METHODS: Final = {
    "/v1/events": ("POST", "OPTIONS"),
    "/healthz": ("GET", "HEAD"),
    "/readyz": ("GET", "HEAD"),
}


class Collector:
    """The ASGI application; `stop_accepting` begins its end, the lifespan's shutdown is that."""

    def __init__(
        self,
        settings: Settings,
        projects: Projects,
        countries: CountryLookup,
        broker: Broker,
        memory: Memory,
        ledger: Ledger | None = None,
        leases: Leases | None = None,
    ) -> None:
        self._projects = projects
        self._ledger = ledger
        self._country = countries.country
        self._broker = broker
        self._memory = memory
        self._limits = Limits(settings, Leases() if leases is None else leases)
        self._proxies = TrustedProxies(settings.proxy_networks)
        self._body_timeout_s = settings.body_timeout_ms / 1_000
        self._retry_after = str(settings.retry_after_s).encode()
        self.budget = Budget(settings.max_buffered_events, settings.max_buffered_bytes)
        self._buffers = Buffers(broker, self.budget, settings.linger_ms, settings.batch_events)
        self._intake = Intake(broker, self._buffers, memory, ledger)
        self._readiness = Readiness(broker, memory)
        self._stopping = False
        metrics.COLLECTOR_HELD_EVENTS.follow(lambda: self.budget.events)
        metrics.COLLECTOR_HELD_BYTES.follow(lambda: self.budget.bytes)
        metrics.COLLECTOR_MAX_EVENTS.set(settings.max_buffered_events)
        metrics.COLLECTOR_MAX_BYTES.set(settings.max_buffered_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or the life of the process."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        began = time.perf_counter()
        try:
            status, headers, body = await self._answer(scope, receive)
        except ClientGone:
            metrics.COLLECTOR_GONE.inc()
            return
        except RequestError as error:
            status, headers, body = error.status, self._error_headers(error), error.body()
            metrics.COLLECTOR_REFUSED.inc(error.code)
        except Exception as error:
            logs.failed(_log, "a request failed", error)
            failure = RequestError("internal_error")
            status, headers, body = failure.status, _JSON, failure.body()
            metrics.COLLECTOR_REFUSED.inc(failure.code)
        metrics.COLLECTOR_REQUESTS.inc(scope["path"], status)
        if scope["method"] == "POST":
            metrics.COLLECTOR_SECONDS.observe(time.perf_counter() - began)
        if status == 405:
            headers = [*headers, (b"allow", ", ".join(_METHODS[scope["path"]]).encode())]
        headers = [*headers, (b"content-length", str(len(body)).encode())] if body else headers
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send(
            {"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body}
        )

    def stop_accepting(self) -> None:
        """From now on new requests are answered `shutting_down`; those under way are finished."""
        self._stopping = True

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[int, Headers, bytes]:
        path, method = scope["path"], scope["method"]
        if path not in _METHODS:
            raise RequestError("not_found")
        if method not in _METHODS[path]:
            raise RequestError("method_not_allowed")
        if path == "/healthz":
            return 200, _JSON, b'{"status":"ok"}'
        if path == "/readyz":
            return await self._ready()
        if method == "OPTIONS":
            return 204, _PREFLIGHT, b""
        return 202, _JSON, await self._post(scope, receive)

    async def _post(self, scope: Scope, receive: Receive) -> bytes:
        if self._stopping:
            raise RequestError("shutting_down")
        headers = dict(scope["headers"])
        peer = scope["client"][0] if scope.get("client") else None
        address = self._proxies.client_address(peer, _forwarded_for(scope))
        await self._limits.request(address)
        project, key = self._writer(headers, scope["query_string"])
        try:
            read = await self._read(headers, receive, project)
        except RequestError as error:
            if error.status in _SENDERS:
                self._show(project, error)
            raise
        if self._limits.counts_events:
            await self._limits.events(key.id, read.received)
        country = self._country(address)
        agent = classify(headers.get(b"user-agent", b"").decode("latin-1"))
        return await self._intake.take(read, project, country, agent)

    async def _read(self, headers: dict[bytes, bytes], receive: Receive, project: Project) -> Read:
        """The events of a request's body."""
        zipped = check_headers(headers)
        body = await receive_body(receive, self._body_timeout_s, self.budget)
        metrics.COLLECTOR_BODY.add(len(body))
        return self._intake.read(gunzip(body) if zipped else body, project)

    def _writer(self, headers: dict[bytes, bytes], query: bytes) -> Writer:
        key = headers.get(b"x-write-key", b"").decode("latin-1")
        if not key:
            key = _key_in(query)
        if not key:
            raise RequestError("write_key_missing")
        found = self._projects.writer(key)
        if found is None:
            raise RequestError("write_key_unknown")
        ended = found.key.ended(time.time())
        if ended is not None:
            raise RequestError(f"write_key_{ended}")
        origins = found.key.origins
        if origins and not origin_matches(headers.get(b"origin", b"").decode("latin-1"), origins):
            refused = RequestError("origin_not_allowed")
            self._show(found.project, refused)
            raise refused
        return found

    def _show(self, project: Project, error: RequestError) -> None:
        """Let the project's people see that, and why, a request was refused."""
        if self._ledger is not None:
            self._ledger.recent.refused(project.name, now_ms(), error)

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(FOLLOW_SECONDS)
            metrics.COLLECTOR_REGISTRY.inc(self._projects.refresh())

    async def _ready(self) -> tuple[int, Headers, bytes]:
        report = await self._readiness.report()
        ready = report.broker and not self._stopping
        state = "ready" if report.redis else "degraded"  # without it repeats are the job's matter
        if not ready:
            state = "stopping" if self._stopping else "not ready"
        body = {"status": state, "broker": report.broker, "redis": report.redis}
        return 200 if ready else 503, _JSON, msgspec.json.encode(body)

    def _error_headers(self, error: RequestError) -> Headers:
        if error.status == 503:
            return [*_JSON, (b"retry-after", self._retry_after)]
        if error.code in _CLOSING:
            return [*_JSON, (b"connection", b"close")]
        return [*_JSON, *error.headers]

    async def _live(self, receive: Receive, send: Send) -> None:
        following: asyncio.Task[None]
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await self._broker.start()
                following = asyncio.create_task(self._follow())
                if self._ledger is not None:
                    self._ledger.start()
                await send({"type": "lifespan.startup.complete"})
            else:
                self.stop_accepting()
                following.cancel()
                await self._buffers.drain()
                await self._broker.stop()
                await self._memory.stop()
                await self._limits.stop()
                if self._ledger is not None:
                    await self._ledger.stop()
                await send({"type": "lifespan.shutdown.complete"})
                return


def _key_in(query: bytes) -> str:
    """The first `key` of a query string; "" when there is none, or too much beside it."""
    try:
        values = parse_qs(query.decode("latin-1"), max_num_fields=20).get("key")
    except ValueError:
        return ""
    return values[0] if values else ""


def _forwarded_for(scope: Scope) -> str:
    """All X-Forwarded-For headers in their order, as one."""
    values = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
    return b",".join(values).decode("latin-1")
