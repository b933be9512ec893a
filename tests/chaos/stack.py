"""The product that is to be hurt: every part a process of its own, and up for the whole series."""

from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final, Self

from deploy import children
from deploy.artifacts import ensure_geo
from deploy.children import PythonChild
from deploy.clickhouse import ClickHouseServer
from deploy.flink_cluster import FlinkCluster
from deploy.flink_rest import FlinkError
from deploy.history import ensure_schema
from deploy.identity import group_members, resident
from deploy.ports import free_port
from deploy.process import ManagedProcess
from deploy.services import KafkaServer, ValkeyServer, ensure_topics
from deploy.settings import Settings
from stores.clickhouse_tables import Options
from tests.chaos.stores import Stores
from tests.integration.jobs import forget_heartbeat, kill_hard
from tests.integration.waiting import wait_for

CHECKPOINT_MS: Final = 5_000
LATENESS: Final = 600  # seconds; far above how late the sender's events are
AWAY: Final = 300.0  # seconds that a dependency is away in an outage
PATIENCE: Final = 240.0  # seconds for a start; 5 to 40 on an idle machine


class Stack:
    """Kafka, Valkey with persistence, ClickHouse, Flink with checkpoints, collectors, service."""

    def __init__(self, folder: Path, away: float = AWAY, *, lateness: int = LATENESS) -> None:
        self.folder = folder
        self.away = away
        self.lateness = lateness  # seconds
        self.settings = Settings(
            kafka_port=free_port(),
            valkey_port=free_port(),
            clickhouse_port=free_port(),
            clickhouse_tcp_port=free_port(),
            run_dir=folder,
        )
        self.geo = ensure_geo()
        settings = self.settings
        self.kafka = KafkaServer(folder / "kafka", settings.kafka_port)
        self.valkey = ValkeyServer(settings.valkey_port, folder / "valkey", persistence=True)
        self.clickhouse = ClickHouseServer(
            folder / "clickhouse", settings.clickhouse_port, settings.clickhouse_tcp_port
        )
        self.cluster = FlinkCluster(folder / "flink")
        self.ports = [free_port(), free_port()]  # of the collectors
        self.collectors = [self._collector(number) for number in range(len(self.ports))]
        self.service_port = free_port()
        self.service = self._service()
        self._started = ExitStack()

    def start(self) -> None:
        """All of it, with the job running. Raises StartError, with all stopped again."""
        try:
            for server in (self.kafka, self.valkey, self.clickhouse):
                self._started.enter_context(server)
            ensure_topics(self.kafka.address)
            ensure_schema(self.settings.history_url, Options(refresh_seconds=5))
            self._started.enter_context(self.cluster)
            for collector in self.collectors:
                self._started.enter_context(collector)
            self.submit()
            self._started.enter_context(self.service)
            self.stores = Stores(self.valkey.address, self.settings.history_reader_url)
            self._started.enter_context(closing(self.stores))
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Nothing of it is left."""
        self._started.close()

    def submit(self, *arguments: str) -> None:
        """Hand the job to Flink; returns when it reads. The program that did so is ended then."""
        job = PythonChild(
            "pipeline",
            [
                "pipelines.main",
                *self.cluster.arguments(CHECKPOINT_MS),
                f"--kafka_bootstrap={self.kafka.address}",
                f"--redis_url={self.valkey.address}",
                f"--history_url={self.settings.history_url}",
                "--raw_events",
                f"--allowed_lateness={self.lateness}",
                *arguments,
            ],
            children.heartbeat_fresh(self.valkey.address),
            log_path=self.folder / "pipeline.log",
            environment={"JDK_JAVA_OPTIONS": "-Xmx512m"},
            ready_within=PATIENCE,
        )
        forget_heartbeat(self.valkey.address)
        try:
            job.start()
            self.running()
        finally:
            if job.poll() is None and job.pid is not None:
                kill_hard(job)

    def running(self, seconds: float = PATIENCE) -> str:
        """The id of the job, once all of it runs."""

        def found() -> str | None:
            try:
                return self.cluster.rest.running_job()
            except FlinkError:
                return None

        return wait_for("running job", found, seconds)

    def job(self) -> str | None:
        """The id of the job that has not ended, whatever state it is in."""
        ended = ("FINISHED", "FAILED", "CANCELED")
        jobs = self.cluster.rest.jobs().items()
        return next((job for job, status in jobs if status not in ended), None)

    def memory(self) -> dict[str, int]:
        """Resident MB of each part, of all its processes together."""
        cluster = self.cluster
        parts: list[ManagedProcess] = [
            self.kafka,
            self.valkey,
            self.clickhouse,
            cluster.job_manager,
        ]
        parts += [cluster.task_manager, *self.collectors, self.service]
        groups = {part.name: group_members(part.pid) for part in parts if part.pid is not None}
        groups["worker"] = cluster.workers()
        return {name: resident(pids) // 1_000_000 for name, pids in groups.items()}

    def _collector(self, number: int) -> PythonChild:
        port = self.ports[number]
        geo = [] if self.geo is None else [f"--geo_database={self.geo}"]
        return PythonChild(
            f"collector{number + 1}",
            [
                "serving.collector",
                f"--port={port}",
                f"--kafka_bootstrap={self.kafka.address}",
                f"--redis_url={self.valkey.address}",
                *geo,
            ],
            children.answers_ready(port, "/healthz"),
            log_path=self.folder / f"collector{number + 1}.log",
            environment={},
            ready_within=PATIENCE,
        )

    def _service(self) -> PythonChild:
        port = self.service_port
        return PythonChild(
            "service",
            [
                "serving.app",
                f"--port={port}",
                f"--redis_url={self.valkey.address}",
                f"--history_url={self.settings.history_reader_url}",
            ],
            children.answers_ready(port),
            log_path=self.folder / "service.log",
            environment={},
            ready_within=PATIENCE,
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
