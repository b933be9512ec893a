"""The programs that the local stack starts beside the servers: their commands and readiness."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Final

import redis

from deploy.artifacts import REPO
from deploy.ports import HOST
from deploy.process import ManagedProcess
from deploy.settings import Settings
from stores.hot import HotStore

Ready = Callable[[ManagedProcess], bool]

STOPPED: Final = 3  # the job's exit code when it stopped by itself, see pipelines.main
HEARTBEAT_MAX_AGE: Final = 15.0
STALLED_EVERY: Final = 5.0  # seconds between two looks at the heartbeat of a job that runs


def commands(settings: Settings, jar: Path, geo: Path | None) -> dict[str, list[str]]:
    """Name → arguments after `python -m`. The only place where these are written down."""
    return {
        "pipeline": [
            "pipelines.main",
            "--runner=FlinkRunner",
            "--flink_master=[local]",
            f"--flink_job_server_jar={jar}",
            f"--parallelism={settings.parallelism}",
            f"--kafka_bootstrap={settings.kafka}",
            "--topic=events",
            "--dead_letter_topic=events-dead",
            f"--dead_letter_limit={settings.dead_letter_limit}",
            f"--redis_url={settings.redis_url}",
            *([f"--history_url={settings.history_url}"] if settings.history else []),
            *(["--raw_events"] if settings.history and settings.raw_events else []),
            *_watched(settings, settings.job_metrics_port),
        ],
        "collector": [
            "serving.collector",
            *("--host", HOST, "--port", str(settings.collector_port)),
            f"--kafka_bootstrap={settings.kafka}",
            "--topic=events",
            f"--redis_url={settings.redis_url}",
            *([f"--geo_database={geo}"] if geo is not None else []),
            *([f"--projects={settings.projects}"] if settings.projects else []),
            *_watched(settings, settings.collector_metrics_port),
        ],
        "service": [
            "serving.app",
            *("--host", HOST, "--port", str(settings.service_port)),
            f"--redis_url={settings.redis_url}",
            *([f"--history_url={settings.history_reader_url}"] if settings.history else []),
            f"--collector_url={settings.collector_url}",
            *([f"--secret={settings.secret}"] if settings.secret.exists() else []),
            *([f"--projects={settings.projects}"] if settings.projects else []),
            *_watched(settings, settings.service_metrics_port),
        ],
        "demo": [
            "deploy.demo",
            *("--url", settings.collector_url),
            *("--key", settings.demo_write_key),
            *("--rate", str(settings.demo_rate)),
        ],
    }


def _watched(settings: Settings, port: int) -> list[str]:
    return [
        f"--metrics_host={HOST}",
        f"--metrics_port={port}",
        f"--log_format={settings.log_format}",
    ]


# The job server's JVM would else take a quarter of the machine's memory.
ENVIRONMENT: Final[Mapping[str, Mapping[str, str]]] = {
    "pipeline": {"JDK_JAVA_OPTIONS": "-Xmx2g"},
}


class PythonChild(ManagedProcess):
    """`python -m MODULE …` from the repository's folder, ready when `ready(child)` says so."""

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        ready: Ready,
        *,
        log_path: Path,
        environment: Mapping[str, str],
        ready_within: float,
    ) -> None:
        merged = {
            "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": str(REPO),
            **ENVIRONMENT.get(name, {}),
            **environment,
        }
        super().__init__(name, log_path, environment=merged, ready_within=ready_within)
        self._arguments = list(arguments)
        self._ready = ready

    def command(self) -> Sequence[str]:
        """This interpreter with the module and its arguments."""
        return [sys.executable, "-m", *self._arguments]

    def is_ready(self) -> bool:
        """Whether it does its work."""
        return self._ready(self)


def heartbeat_fresh(redis_url: str) -> Ready:
    """The job has written its heartbeat lately, and since this start (the store is persistent)."""

    look = _asked(redis_url, HotStore.last_beat)

    def ready(child: ManagedProcess) -> bool:
        beat = look() or 0
        return beat >= int(child.spawned_at) and time.time() - beat < HEARTBEAT_MAX_AGE

    return ready


def last_seen(redis_url: str) -> Callable[[], int | None]:
    """When any job was last alive, unix seconds (0: never); None while the store is away."""
    return _asked(redis_url, HotStore.last_seen)


def _asked(redis_url: str, question: Callable[[HotStore], int | None]) -> Callable[[], int | None]:
    """A question to the hot store: 0 when it knows nothing, None while it is away."""

    def look() -> int | None:
        client = redis.Redis.from_url(redis_url, socket_timeout=1, socket_connect_timeout=1)
        try:
            return question(HotStore(client)) or 0
        except (redis.RedisError, ValueError):
            return None
        finally:
            client.close()

    return look


class Stalled:
    """Says when a job hangs: its process lives, the store answers, and its heart does not beat.

    The clock is our own, and what counts is how long the last beat has stayed the same: so neither
    a store that was away nor a machine that was asleep looks like a job that hangs.
    """

    def __init__(
        self,
        beat: Callable[[], int | None],
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._beat = beat
        self._seconds = seconds
        self._clock = clock
        self._asked = float("-inf")
        self._last: tuple[float, int] | None = None  # of which start, and the beat
        self._since = 0.0

    def __call__(self, child: ManagedProcess) -> str | None:
        """Why it has to be restarted, or None. Asks the store every few seconds only."""
        now = self._clock()
        if now - self._asked < STALLED_EVERY:
            return None
        self._asked = now
        beat = self._beat()
        seen = None if beat is None else (child.spawned_at, beat)
        if seen is None or seen != self._last:
            self._last, self._since = seen, now
            return None
        silent = now - self._since
        return f"hangs (no heartbeat for {silent:.0f} s)" if silent >= self._seconds else None


def answers_ready(port: int, path: str = "/readyz") -> Ready:
    """GET of the path is 200."""

    def ready(_: ManagedProcess) -> bool:
        connection = HTTPConnection(HOST, port, timeout=1)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    return ready


def lives(seconds: float) -> Ready:
    """It has not ended for so long: for programs that serve nothing."""
    return lambda child: time.time() - child.spawned_at >= seconds
