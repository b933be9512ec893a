"""Kafka, Valkey and the job as processes of their own: what benchmarks of the pipeline run on."""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, Self

from benchmarks.dataset import PROJECT
from benchmarks.report import Pids
from deploy import children
from deploy.artifacts import ensure_jars
from deploy.children import PythonChild
from deploy.flink_cluster import FlinkCluster
from deploy.identity import name_of
from deploy.ports import free_port
from deploy.services import KafkaServer, ValkeyServer, ensure_topics
from events import sketch
from stores import layout
from stores.hot import HotStore, open_redis
from tests.integration.jobs import kill_hard

EMBEDDED_WORKERS: Final = 1  # LOOPBACK: all of the job's Python in the program that submits it
_PATIENCE: Final = 240.0


class Flow:
    """The parts that run, with what they are called in results.

    `cluster`: a standalone Flink with a checkpoint every `checkpoint_ms` and `workers` Python
    workers; else Flink embedded, one worker, no checkpoints. `spares` are workers that the cluster
    keeps ready: they take processor time from what is measured when they are made.
    """

    def __init__(
        self,
        folder: Path,
        *,
        cluster: bool,
        workers: int = 1,
        partitions: int = 8,
        checkpoint_ms: int = 10_000,
        spares: int = 0,
    ) -> None:
        self.kafka = KafkaServer(folder / "kafka", free_port(), retain_bytes=-1)
        self.valkey = ValkeyServer(free_port(), folder / "valkey", persistence=False)
        self.cluster = FlinkCluster(folder / "flink", spares=spares) if cluster else None
        self.job: PythonChild | None = None
        self._folder = folder
        self._workers = workers
        self._partitions = partitions
        self._checkpoint_ms = checkpoint_ms
        self._started = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._started.enter_context(self.kafka)
            self._started.enter_context(self.valkey)
            ensure_topics(self.kafka.address, {"events": self._partitions, "events-dead": 1})
            if self.cluster is not None:
                self._started.enter_context(self.cluster)
            self.client = open_redis(self.valkey.address)
            self._started.callback(self.client.close)
            self.store = HotStore(self.client)
        except BaseException:
            self._started.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.end_job()
        self._started.close()

    def start_job(self, *arguments: str) -> None:
        """Start the job over an emptied store; returns when it reads."""
        self.client.flushall()
        runner = self._embedded() if self.cluster is None else self._clustered(self.cluster)
        self.job = PythonChild(
            "pipeline",
            [
                "pipelines.main",
                *runner,
                f"--kafka_bootstrap={self.kafka.address}",
                f"--redis_url={self.valkey.address}",
                "--start=earliest",
                "--metrics_port=0",
                *arguments,
            ],
            children.heartbeat_fresh(self.valkey.address),
            log_path=self._folder / "pipeline.log",
            environment={"JDK_JAVA_OPTIONS": "-Xmx1g"},
            ready_within=_PATIENCE,
        )
        self.job.start()

    def end_job(self) -> None:
        """Kill the job; its checkpoints stay."""
        if self.cluster is not None and self.job is not None:
            running = self.cluster.rest.running_job()
            if running is not None:
                self.cluster.rest.cancel(running)
        if self.job is not None and self.job.poll() is None:
            kill_hard(self.job)
        self.job = None

    def counted(self, start: int, end: int) -> int:
        """Rows that the store has in the minutes from `start` to `end` (epoch seconds)."""
        return int(self.store.series(PROJECT, (), (), start, end)[:, 0].sum())

    def users(self, minute: int) -> int:
        """Distinct users of a minute, as estimated from the store's sketch."""
        found = self.store.sketches([layout.minute_users_key(PROJECT, minute)])[0]
        return 0 if found is None else sketch.estimate(found)

    def parts(self) -> Mapping[str, Pids]:
        """Names of the processes that do the work, with their pids now."""
        found: dict[str, Pids] = {
            "kafka": self.kafka.members,
            "valkey": self.valkey.members,
        }
        if self.cluster is None:
            found["flink"] = lambda: _named(self._job_pids(), "java")
            found["worker"] = lambda: _named(self._job_pids(), "python")
            return found
        cluster = self.cluster
        found["jobmanager"] = cluster.job_manager.members
        found["flink"] = cluster.task_manager.members
        found["worker"] = cluster.workers
        return found

    def checkpoint(self) -> dict[str, Any] | None:
        """The latest completed checkpoint of the running job."""
        if self.cluster is None:
            return None
        running = self.cluster.rest.running_job()
        return None if running is None else self.cluster.rest.completed(running)

    def _job_pids(self) -> list[int]:
        return [] if self.job is None else self.job.members()

    def _embedded(self) -> list[str]:
        if self._workers != EMBEDDED_WORKERS:
            raise ValueError("embedded Flink has one Python worker: its own program")
        return [
            "--runner=FlinkRunner",
            "--flink_master=[local]",
            f"--flink_job_server_jar={ensure_jars().flink_job_server}",
            "--parallelism=2",
        ]

    def _clustered(self, cluster: FlinkCluster) -> list[str]:
        return [
            *cluster.arguments(self._checkpoint_ms),
            f"--sdk_worker_parallelism={self._workers}",
        ]


def _named(pids: list[int], what: str) -> list[int]:
    return [pid for pid in pids if what in name_of(pid)]
