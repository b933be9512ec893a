"""Who may ask the service how often, and hold how many connections: every request under /v1/.

A request takes a token of its client's bucket and one of its key's; one with a key that nobody has
takes `GUESS` of its client's, so that guessing is slow. So many must be there for any request: with
fewer the answer would not depend on the key, and guesses be free. The check stands before routes
are called, so a WebSocket is refused before its handshake. What is open takes places until it ends.
A ticket that is good has been counted when it was bought.
"""

from collections.abc import Callable, Iterator
from typing import Final

import flask

from events.address import TrustedProxies
from serving.buckets import Buckets
from serving.client_names import client_names
from serving.gate import Holder
from serving.ingest.errors import RequestError
from serving.limit_headers import limit_field, policy_field, whole_seconds
from serving.limits import Ask
from serving.places import Places, Seat
from serving.settings import GUESS, Settings
from telemetry import metrics

_FREE: Final = frozenset({"/v1/openapi.json", "/v1/live.schema.json"})
_SOCKETS: Final = frozenset({"/v1/live", "/v1/live/sse"})


class Throttle:
    """The limits of one process. `identify` is the holder of a request's key, None without one."""

    def __init__(
        self, settings: Settings, buckets: Buckets, identify: Callable[[], Holder | None]
    ) -> None:
        self._buckets = buckets
        self._identify = identify
        self._proxies = TrustedProxies(settings.proxy_networks)
        self._name = client_names(settings.redis_url)
        self._by_ip, self._by_key = settings.limits
        self.sockets_by_ip = Places("max_sockets_per_ip", settings.max_sockets_per_ip)
        self.sockets_by_key = Places("max_sockets_per_key", settings.max_sockets_per_key)

    def watch(self, app: flask.Flask) -> None:
        """Check all requests of the application. A place is given back whatever happens."""

        @app.before_request
        def check() -> None:
            request = flask.request
            path = request.path
            if not path.startswith("/v1/") or path in _FREE or request.method == "OPTIONS":
                return
            flask.g.holder = self._identify()
            bought = "ticket" in request.args and flask.g.holder.known
            if not bought:
                self.admit()
            if request.url_rule is not None and request.url_rule.rule in _SOCKETS:
                self._seat(flask.g.holder)

        @app.after_request
        def tell(response: flask.Response) -> flask.Response:
            for name, value in flask.g.get("limits", {}).items():
                response.headers[name] = value
            if response.is_streamed and "seat" in flask.g:  # the view is done, its answer is not
                response.call_on_close(flask.g.pop("seat").leave)
            return response

        @app.teardown_request
        def leave(_: BaseException | None) -> None:
            if "seat" in flask.g:
                flask.g.pop("seat").leave()

    def admit(self) -> None:
        """Count a request, or what its socket asks later. Raises RequestError `rate_limited`."""
        asks = list(self._asks(flask.g.holder))
        if not asks:
            return
        taken = self._buckets.take(asks)
        said = {
            "RateLimit-Policy": policy_field([ask.limit for ask in asks]),
            "RateLimit": limit_field(asks, taken),
        }
        flask.g.limits = said
        wait, limit = max((one.wait, ask.limit) for one, ask in zip(taken, asks, strict=True))
        if wait:
            said["Retry-After"] = str(whole_seconds(wait))
            metrics.SERVICE_LIMITED.inc(limit.setting)
            raise RequestError("rate_limited", limit.detail)

    def _seat(self, holder: Holder | None) -> None:
        """Give this request's connection its places. Raises RequestError `too_many_connections`."""
        flask.g.seat = Seat()
        self._place(self.sockets_by_ip, self._client())
        if holder is not None:
            self._place(self.sockets_by_key, holder.key_id)

    def _asks(self, holder: Holder | None) -> Iterator[Ask]:
        known = holder is None or holder.known
        if self._by_ip.rate:
            yield Ask(self._by_ip, self._client(), GUESS, 1 if known else GUESS)
        if self._by_key.rate and holder is not None and known:
            yield Ask(self._by_key, holder.key_id, 1, 1)

    def _client(self) -> str:
        environ = flask.request.environ
        peer, forwarded_for = environ.get("REMOTE_ADDR"), environ.get("HTTP_X_FORWARDED_FOR", "")
        return self._name(self._proxies.client_address(peer, forwarded_for))

    def _place(self, places: Places, name: str) -> None:
        if not flask.g.seat.take(places, name):
            metrics.SERVICE_LIMITED.inc(places.setting)
            detail = f"{places.setting} is {places.most}, of one process."
            raise RequestError("too_many_connections", detail)
