"""Every request of the service, counted, timed and logged: by route template, never by path."""

import time
from typing import Final

import flask

from telemetry import logs, metrics
from telemetry.meters import OTHER

_PROBES: Final = frozenset({"/healthz", "/readyz"})  # asked every second by machines


def watch(app: flask.Flask) -> None:
    """Observe all requests of the application. A socket's line comes when it is closed."""

    @app.before_request
    def begin() -> None:
        flask.g.began = time.perf_counter()

    @app.after_request
    def end(response: flask.Response) -> flask.Response:
        request = flask.request
        rule = request.url_rule
        route = OTHER if rule is None else rule.rule
        seconds = time.perf_counter() - flask.g.began
        status = response.status_code
        if rule is not None and rule.websocket and status == 200:
            status, size = 101, int(flask.g.get("sent", 0))
        else:
            size = 0 if request.method == "HEAD" else response.content_length or 0
            metrics.SERVICE_SECONDS.observe(seconds, route)
            metrics.SERVICE_BYTES.add(size, route)
        metrics.SERVICE_REQUESTS.inc(route, status)
        if route not in _PROBES or status >= 400:
            logs.access(request.method, route, status, seconds, size)
        return response
