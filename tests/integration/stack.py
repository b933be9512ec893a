"""The whole product on free ports, started with the very commands of `make run`."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy import children
from deploy.artifacts import ensure_geo, ensure_jars
from deploy.children import PythonChild
from deploy.clickhouse import ClickHouseServer
from deploy.history import ensure_schema
from deploy.ports import free_port
from deploy.services import KafkaServer, ValkeyServer, ensure_topics
from deploy.settings import Settings
from stores.clickhouse_tables import Options
from tests.integration.jobs import forget_heartbeat, kill_hard


@dataclass
class Stack:
    """Kafka, Valkey, ClickHouse, the job, a collector and the service; no demo traffic."""

    settings: Settings
    kafka: KafkaServer
    valkey: ValkeyServer
    clickhouse: ClickHouseServer
    job: PythonChild
    collector: PythonChild
    service: PythonChild
    geo: Path | None

    def kill_job(self) -> None:
        """kill -9 of the job with its worker, and a new one from scratch, as a supervisor does."""
        kill_hard(self.job)
        forget_heartbeat(self.valkey.address)
        self.job.start()


@contextmanager
def running(folder: Path, *job_options: str, job_waits: bool = False) -> Iterator[Stack]:
    """Start all; stop all at the end, whatever happened.

    `job_options` are added to the job's; a job that `job_waits` is left to the test to start.
    """
    settings = Settings(
        kafka_port=free_port(),
        valkey_port=free_port(),
        collector_port=free_port(),
        service_port=free_port(),
        clickhouse_port=free_port(),
        clickhouse_tcp_port=free_port(),
        run_dir=folder,
    )
    geo = ensure_geo()
    table = children.commands(settings, ensure_jars().flink_job_server, geo)

    def child(name: str, ready: children.Ready, within: float) -> PythonChild:
        return PythonChild(
            name,
            table[name],
            ready,
            log_path=folder / f"{name}.log",
            environment={"JDK_JAVA_OPTIONS": "-Xmx1g"},
            ready_within=within,
        )

    with ExitStack() as started:
        kafka = started.enter_context(KafkaServer(folder / "kafka", settings.kafka_port))
        ensure_topics(kafka.address)
        valkey = started.enter_context(
            ValkeyServer(settings.valkey_port, folder / "valkey", persistence=False)
        )
        clickhouse = started.enter_context(
            ClickHouseServer(
                folder / "clickhouse", settings.clickhouse_port, settings.clickhouse_tcp_port
            )
        )
        ensure_schema(settings.history_url, Options(refresh_seconds=2))
        table["pipeline"] += job_options
        job = child("pipeline", children.heartbeat_fresh(settings.redis_url), 120)
        started.callback(job.stop)
        if not job_waits:
            job.start()
        collector = started.enter_context(
            child("collector", children.answers_ready(settings.collector_port), 60)
        )
        service = started.enter_context(
            child("service", children.answers_ready(settings.service_port), 60)
        )
        yield Stack(settings, kafka, valkey, clickhouse, job, collector, service, geo)
