"""`GET /metrics` of a process, on a port of its own.

Why a port per process, and not the library's multiprocess mode (files in a folder that one process
adds up): all three programs may run as several processes, and two of them start those themselves
(gunicorn's workers, Flink's Python workers, the latter on any host and without a common parent of
ours). So each process takes the first free port of a small range, `port … port + SPAN - 1`, and
Prometheus scrapes the range: it keeps processes apart as instances, `sum without (instance)` adds
them up, and `rate` knows what a restart is. The multiprocess mode would need an environment
variable before the first import, a folder that is emptied at each start, and rules for what gauges
of dead processes mean; and it cannot look things up when asked (buffer fill, lag), as
`Level.follow` does.
A port that nobody has taken is a target that is down: alert on `up` of the first one only.

It is never the public port, and 127.0.0.1 unless told otherwise, so that nobody outside reads it by
accident. A process that finds no port says so in its log and does its work all the same.
"""

import logging
import socket
import threading
from dataclasses import dataclass
from http.server import ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any, Final

from prometheus_client.exposition import MetricsHandler

from telemetry.meters import Program
from telemetry.metrics import PROGRAMS

SPAN: Final = 16  # ports of a program
PATH: Final = "/metrics"
COLLECTOR_PORT: Final = 9400
SERVICE_PORT: Final = 9420
JOB_PORT: Final = 9440
_IDLE_SECONDS: Final = 10.0  # a connection that says nothing for so long is closed
_LAST_PORT: Final = 65_535

_log = logging.getLogger(__name__)
_lock = threading.Lock()
_served: "dict[Endpoint, _Server | None]" = {}

# What `--metrics_host` and `--metrics_port` say in every program's `--help`.
HELP: Final = {
    "metrics_host": "address that /metrics listens on; it is for nobody outside",
    "metrics_port": f"first of {SPAN} ports, of which each process takes a free one for /metrics; "
    "0: none",
}


@dataclass(frozen=True)
class Endpoint:
    """Where the processes of a program show their metrics. May travel with a pipeline."""

    program: str
    host: str = "127.0.0.1"
    port: int = 0  # 0: nowhere

    def open(self) -> int | None:
        """Serve from now on, once per process. The port, or None when there is none. Never raises.

        Call it after a fork, not before.
        """
        if not self.port:
            return None
        with _lock:
            if self not in _served:
                _served[self] = _start(self)
            server = _served[self]
        return None if server is None else int(server.server_address[1])

    def close(self) -> None:
        """Give the port back, as tests do."""
        with _lock:
            server = _served.pop(self, None)
        if server is not None:
            server.shutdown()
            server.server_close()


NOWHERE: Final = Endpoint("job")  # of pipelines that show nothing


class _Handler(MetricsHandler):
    """The library's answer, at its one path only."""

    timeout = _IDLE_SECONDS

    def do_GET(self) -> None:
        if self.path.partition("?")[0] == PATH:
            super().do_GET()
        else:
            self.send_error(404)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def server_bind(self) -> None:
        """Without asking DNS for our name, which can take seconds."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that left in the middle is no news."""
        _log.debug("a reader of the metrics was lost", exc_info=True)


def _start(endpoint: Endpoint) -> _Server | None:
    program = next(p for p in PROGRAMS if p.name == endpoint.program)
    ports = range(endpoint.port, min(endpoint.port + SPAN, _LAST_PORT + 1))
    reason = "no such port"
    for port in ports:
        try:
            server = _bind(program, endpoint.host, port)
        except OSError as error:
            reason = str(error)
            continue
        threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
        _log.info("metrics: http://%s:%d%s", endpoint.host, port, PATH)
        return server
    _log.error(
        "no metrics: none of the ports %d to %d of %s could be taken (%s); the work goes on",
        endpoint.port,
        endpoint.port + SPAN - 1,
        endpoint.host,
        reason,
    )
    return None


def _bind(program: Program, host: str, port: int) -> _Server:
    family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    handler = type("Handler", (_Handler,), {"registry": program.registry})
    kind = type("Server", (_Server,), {"address_family": family})
    server: _Server = kind(address[:2], handler)
    return server
