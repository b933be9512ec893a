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

Ready = Callable[[ManagedProcess], bool]

HEARTBEAT_KEY: Final = "sl:job:heartbeat"  # unix seconds as text, written by the running job
HEARTBEAT_MAX_AGE: Final = 15.0


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
            f"--redis_url={settings.redis_url}",
            *([f"--history_url={settings.history_url}"] if settings.history else []),
            *(["--raw_events"] if settings.history and settings.raw_events else []),
        ],
        "collector": [
            "serving.collector",
            *("--host", HOST, "--port", str(settings.collector_port)),
            f"--kafka_bootstrap={settings.kafka}",
            "--topic=events",
            f"--redis_url={settings.redis_url}",
            *([f"--geo_database={geo}"] if geo is not None else []),
        ],
        "service": [
            "serving.app",
            *("--host", HOST, "--port", str(settings.service_port)),
            f"--redis_url={settings.redis_url}",
            *([f"--history_url={settings.history_reader_url}"] if settings.history else []),
            f"--collector_url={settings.collector_url}",
        ],
        "demo": [
            "deploy.demo",
            *("--url", settings.collector_url),
            *("--key", settings.demo_write_key),
            *("--rate", str(settings.demo_rate)),
        ],
    }


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

    def ready(child: ManagedProcess) -> bool:
        client = redis.Redis.from_url(redis_url, socket_timeout=1, socket_connect_timeout=1)
        try:
            value = client.get(HEARTBEAT_KEY)
            beat = float(value) if isinstance(value, bytes | str) else 0.0
        except (redis.RedisError, ValueError):
            return False
        finally:
            client.close()
        return beat >= int(child.spawned_at) and time.time() - beat < HEARTBEAT_MAX_AGE

    return ready


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
