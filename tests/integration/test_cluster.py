"""The job on a standalone Flink cluster: exact across the death of a TaskManager and of a Python
worker, and across a savepoint. Each time from restored state: what was counted before is deleted
from the log first, so that a replay would count too little. And its readers hand back the rest of
their work a few times a second without leaving a trace in checkpoints.
"""

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import redis
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from deploy.children import PythonChild, heartbeat_fresh
from deploy.flink_cluster import FlinkCluster
from deploy.flink_rest import retained_checkpoint, self_checkpoint_names
from deploy.services import TOPICS, KafkaServer, ValkeyServer, ensure_topics
from stores.hot import HotStore
from tests.integration.jobs import forget_heartbeat, kill_hard
from tests.integration.test_pipeline import Sent, _agreement, _minutes
from tests.integration.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(900)]

CHECKPOINT_MS = 3_000
PATIENCE = 180  # seconds; each step takes 3 to 30 s on an idle machine
SPAN_MS = 300_000  # events are of the minutes before the test, any of them at any time


class Act:
    """Everything that a fault is tried on."""

    def __init__(
        self, cluster: FlinkCluster, kafka: str, redis_url: str, store: HotStore, logs: Path
    ) -> None:
        self.cluster = cluster
        self.rest = cluster.rest
        self.kafka = kafka
        self.redis_url = redis_url
        self.store = store
        self.logs = logs
        self.sent = Sent(kafka)
        now = int(time.time())
        self.start, self.end = now // 60 * 60 - SPAN_MS // 1000, now // 60 * 60 + 120

    def submit(self, *arguments: str) -> PythonChild:
        """The job as the README starts it, reading. It counts nothing from before this moment."""
        job = PythonChild(
            "pipeline",
            [
                "pipelines.main",
                *self.cluster.arguments(CHECKPOINT_MS),
                f"--kafka_bootstrap={self.kafka}",
                f"--redis_url={self.redis_url}",
                f"--start={datetime.now(UTC).isoformat()}",
                *arguments,
            ],
            heartbeat_fresh(self.redis_url),
            log_path=self.logs / "pipeline.log",
            environment={"JDK_JAVA_OPTIONS": "-Xmx512m"},
            ready_within=PATIENCE,
        )
        forget_heartbeat(self.redis_url)
        job.start()
        return job

    def running(self) -> str:
        """The id of the job, once all of it runs."""
        return wait_for("running job", self.rest.running_job, PATIENCE)

    def counted(self) -> int:
        """Events in the store."""
        return sum(_minutes(self.store, self.start, self.end).values())

    def wait_exact(self) -> None:
        """Every minute and country in the store is what was sent, neither less nor more."""
        agrees = _agreement(self.store, self.sent, self.start, self.end)
        wait_for("exact count", agrees, PATIENCE)
        assert _minutes(self.store, self.start, self.end) == dict(self.sent.minutes)

    def wait_progress(self) -> None:
        """The store is written to."""
        before = self.counted()
        wait_for("progress", lambda: self.counted() > before, PATIENCE)

    @contextmanager
    def traffic(self) -> Iterator[None]:
        """Batches all the while, some sent twice; all of them on the broker at the end."""
        ended = threading.Event()

        def produce() -> None:
            rng, partition = random.Random(self.counted()), 0
            while not ended.wait(0.05):
                low, high = self.start * 1000, self.start * 1000 + SPAN_MS
                times = [rng.randrange(low, high) for _ in range(50)]
                self.sent.arrow(partition, times, repeat=rng.random() < 0.2)
                partition = (partition + 1) % TOPICS["events"]

        thread = threading.Thread(target=produce)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join(10)
        self.sent.flush()

    def forget_log(self, job: str) -> None:
        """What is counted and in a checkpoint is deleted from Kafka: nobody can read it again."""
        now_ms = time.time() * 1000

        def covered() -> bool:
            done = self.rest.completed(job)
            return done is not None and done["trigger_timestamp"] > now_ms

        wait_for("checkpoint", covered, PATIENCE)
        ends = _ends(self.kafka)
        admin = AdminClient({"bootstrap.servers": self.kafka})
        for future in admin.delete_records(ends, request_timeout=20).values():
            future.result(20)

    def wait_restored(self, job: str, since: float, least: int) -> dict[str, Any]:
        """What the job was restored from after `since` (unix s): checkpoint `least` or later."""

        def found() -> dict[str, Any] | None:
            restored = self.rest.restored(job)
            again = restored is not None and restored["restore_timestamp"] > since * 1000
            return restored if again and self.rest.all_running(job) else None

        restored = wait_for("restore", found, PATIENCE)
        assert restored["id"] >= least
        return restored


def test_exact_counts_on_a_cluster(
    kafka: KafkaServer, valkey: ValkeyServer, client: redis.Redis, tmp_path: Path
) -> None:
    ensure_topics(kafka.address)
    with FlinkCluster(tmp_path / "flink") as cluster:
        act = Act(cluster, kafka.address, valkey.address, HotStore(client), tmp_path)
        job = act.submit()
        try:
            _task_manager_dies(act)
            _worker_dies(act)
            savepoint = _savepoint(act)
            job.stop()
            job = act.submit(f"--savepoint_path={savepoint}")
            _continues(act, savepoint)
            _leaves_no_names(act)
            _brings_no_jar(act)
        finally:
            job.stop()


def _prepare(act: Act) -> tuple[str, int]:
    """Counts that only a checkpoint has: the job, and the id of the checkpoint."""
    job = act.running()
    with act.traffic():
        act.wait_progress()
    act.wait_exact()
    act.forget_log(job)
    checkpoint = act.rest.completed(job)
    assert checkpoint is not None
    return job, checkpoint["id"]


def _task_manager_dies(act: Act) -> None:
    job, checkpoint = _prepare(act)
    manager = act.cluster.task_manager
    with act.traffic():
        act.wait_progress()
        killed = time.time()
        kill_hard(manager)
        manager.start()
        restored = act.wait_restored(job, killed, checkpoint)
        assert not restored["is_savepoint"]
        act.wait_progress()
    act.wait_exact()


def _worker_dies(act: Act) -> None:
    job, checkpoint = _prepare(act)
    with act.traffic():
        act.wait_progress()
        killed = time.time()
        workers = act.cluster.workers()
        assert len(workers) == 1
        os.kill(workers[0], signal.SIGKILL)
        restored = act.wait_restored(job, killed, checkpoint)
        assert not restored["is_savepoint"]
        act.wait_progress()
    act.wait_exact()
    assert not set(workers) & set(act.cluster.workers())


def _savepoint(act: Act) -> str:
    """Where it is. The job has ended then, and the traffic went on."""
    job, _ = _prepare(act)
    with act.traffic():
        act.wait_progress()
        savepoint = act.rest.stop_with_savepoint(job, act.cluster.savepoints)
        assert act.rest.jobs()[job] == "CANCELED"
        sent = sum(act.sent.minutes.values())
        wait_for(
            "traffic that nobody reads", lambda: sum(act.sent.minutes.values()) > sent, PATIENCE
        )
    return savepoint


def _continues(act: Act, savepoint: str) -> None:
    with act.traffic():
        restored = act.rest.restored(act.running())
        assert restored is not None
        assert (restored["is_savepoint"], restored["external_path"]) == (True, savepoint)
        act.wait_progress()
    act.wait_exact()


def _leaves_no_names(act: Act) -> None:
    """Hundreds of self-checkpoints, and one name for all: apache/beam#27648."""
    act.rest.cancel(act.running())
    checkpoint = retained_checkpoint(act.cluster.checkpoints)
    assert checkpoint is not None
    assert self_checkpoint_names(checkpoint) == {"sdf_checkpoint:0"}


def _brings_no_jar(act: Act) -> None:
    """The cluster has it, so a TaskManager fetches none."""
    assert "BlobClient - Downloading" not in act.cluster.task_manager.log_path.read_text()


def _ends(bootstrap: str) -> list[TopicPartition]:
    """The end of every partition of the topic of events."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "ends"})
    try:
        ends = []
        for partition in range(TOPICS["events"]):
            where = TopicPartition("events", partition)
            end = consumer.get_watermark_offsets(where, timeout=10)[1]
            ends.append(TopicPartition("events", partition, end))
        return ends
    finally:
        consumer.close()
