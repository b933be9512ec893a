"""`python -m serving.collector`: the collector on uvicorn.

SIGTERM refuses new requests, finishes what was taken, and exits with 0.
"""

import signal
import socket
import sys
from types import FrameType

import uvicorn

from events.agent import classify
from events.geo import CountryLookup
from serving.ingest.app import Collector
from serving.ingest.leases import Leases
from serving.ingest.ledger import Ledger
from serving.ingest.memory import RedisMemory
from serving.ingest.producer import KafkaBroker
from serving.ingest.protocol import BoundedProtocol
from serving.ingest.settings import Settings
from serving.projects import Projects, ProjectsError
from telemetry import garbage, logs
from telemetry.endpoint import Endpoint

BACKLOG = 4_096
ACCEPTS = 8  # new connections in one turn of the event loop
KEEP_ALIVE_S = 30


class _Server(uvicorn.Server):
    """uvicorn, telling the application at the signal and not only when all requests are done."""

    def __init__(self, config: uvicorn.Config, collector: Collector) -> None:
        super().__init__(config)
        self._collector = collector

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Called in a signal handler."""
        self._collector.stop_accepting()
        super().handle_exit(sig, frame)


def listening(config: uvicorn.Config) -> list[socket.socket]:
    """The address to listen on, several times.

    The loop accepts one connection a turn from each: with one of them, under load, a new client
    waits for seconds behind clients that stay. Exits when the address is taken.
    """
    first = config.bind_socket()
    return [first, *(first.dup() for _ in range(ACCEPTS - 1))]


def build(settings: Settings) -> Collector:
    """The application with Kafka and Redis behind it. Raises `ProjectsError` or OSError."""
    memory = RedisMemory.connect(settings.redis_url, settings.redis_timeout_ms)
    return Collector(
        settings,
        Projects.load(settings.projects, settings.host),
        CountryLookup(settings.geo_database),
        KafkaBroker(settings),
        memory,
        Ledger.connect(settings.redis_url, settings.redis_timeout_ms),
        Leases.connect(settings.redis_url, settings.redis_timeout_ms, memory.link),
    )


def main() -> int:
    """Serve until SIGTERM or SIGINT."""
    settings = Settings.parse(sys.argv[1:])
    logs.configure(settings.log_format)
    try:
        collector = build(settings)
    except (ProjectsError, OSError, ValueError) as error:
        print(f"collector: {error}", file=sys.stderr)
        return 2
    classify("Mozilla/5.0")  # loads the parser's rules before the first request
    config = uvicorn.Config(
        collector,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=BoundedProtocol,
        ws="none",
        lifespan="on",
        access_log=False,  # it would hold addresses
        proxy_headers=False,  # events.address does that
        server_header=False,
        log_config=None,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=settings.drain_timeout_ms // 1_000,
    )
    # uvicorn raises the signal once more when it has ended; that must not kill a clean exit.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    garbage.seldom()
    Endpoint("collector", settings.metrics_host, settings.metrics_port).open()
    server = _Server(config, collector)
    server.run(listening(config))
    return 0 if server.started else 1


if __name__ == "__main__":
    sys.exit(main())
