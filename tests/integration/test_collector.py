"""The collector as a process, with a real broker and a real Redis behind it."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import redis
from confluent_kafka import Consumer, TopicPartition

from deploy.ports import HOST, free_port
from deploy.services import KafkaServer, ValkeyServer, ensure_topics
from events import batch, sketch
from tests.integration.waiting import wait_for

pytestmark = pytest.mark.integration

REPO = Path(__file__).resolve().parents[2]
PARTITIONS = 4
TOPIC = "collected"


class Running(NamedTuple):
    """A collector process and where it listens."""

    process: "subprocess.Popen[bytes]"
    url: str

    def call(
        self, path: str, payload: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """Status and JSON; a payload makes it a POST."""
        request = urllib.request.Request(
            self.url + path,
            None if payload is None else json.dumps(payload).encode(),
            {"Content-Type": "application/json", "X-Write-Key": "demo-write-key"} | (headers or {}),
        )
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def up(self) -> bool:
        try:
            return self.call("/healthz")[0] == 200
        except OSError:
            return False


def start(kafka: str, redis_url: str, folder: Path, *options: str) -> Running:
    port = free_port()
    arguments = ["--port", str(port), "--kafka_bootstrap", kafka, "--redis_url", redis_url]
    with (folder / "collector.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "serving.collector", *arguments, "--topic", TOPIC, *options],
            cwd=REPO,
            stdout=log,
            stderr=log,
        )
    running = Running(process, f"http://{HOST}:{port}")
    wait_for("collector", running.up, 20)
    return running


def stop(running: Running) -> int:
    running.process.send_signal(signal.SIGTERM)
    try:
        return running.process.wait(30)
    finally:
        running.process.kill()
        running.process.wait()


@pytest.fixture(scope="module")
def collector(
    kafka: KafkaServer, valkey: ValkeyServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    ensure_topics(kafka.address, {TOPIC: PARTITIONS})
    running = start(kafka.address, valkey.address, tmp_path_factory.mktemp("collector"))
    wait_for("broker", lambda: running.call("/readyz")[0] == 200, 20)
    yield running
    stop(running)


def stored(kafka: KafkaServer, user: str, count: int) -> list[dict[str, Any]]:
    """All rows of users that start with `user`, once `count` are there."""
    consumer = Consumer({"bootstrap.servers": kafka.address, "group.id": f"test-{time.time_ns()}"})
    consumer.assign([TopicPartition(TOPIC, p, 0) for p in range(PARTITIONS)])
    rows: list[dict[str, Any]] = []

    def look() -> bool:
        for message in consumer.consume(100, timeout=0.3):
            value = message.value()
            assert isinstance(value, bytes)
            project, found = batch.decode(value, hot_only=False)
            assert dict(message.headers() or [])["count"] == str(found.num_rows).encode()
            assert project == "demo"
            rows.extend(
                {**row, "partition": message.partition(), "offset": message.offset()}
                for row in found.to_pylist()
                if row["user_id"].startswith(user)
            )
        return len(rows) >= count

    try:
        wait_for(f"{count} rows of {user}", look, 20)
        assert consumer.consume(1, timeout=0.5) == []
    finally:
        consumer.close()
    return rows


def events(user: str, count: int, **envelope: Any) -> dict[str, Any]:
    now = time.time_ns() // 1_000_000
    items = [{"type": "click", "user_id": f"{user}{n}", "ts": now} for n in range(count)]
    return {"events": items, **envelope}


def test_events_reach_the_topic_and_a_repeat_does_not(
    collector: Running, kafka: KafkaServer
) -> None:
    body = events("once-", 50, batch_id="once")
    assert collector.call("/v1/events", body) == (202, {"accepted": 50, "rejected": []})
    assert collector.call("/v1/events", body) == (202, {"accepted": 50, "rejected": []})
    rows = stored(kafka, "once-", 50)
    assert len(rows) == 50
    assert len({(r["partition"], r["offset"]) for r in rows}) == len({r["partition"] for r in rows})
    assert all(r["user_hash"] == sketch.user_hash(r["user_id"]) for r in rows)
    assert len({r["dedup_key"] for r in rows}) == 1


def test_the_collector_remembers_across_a_restart(
    collector: Running, kafka: KafkaServer, valkey: ValkeyServer, tmp_path: Path
) -> None:
    body = events("again-", 3, batch_id="again")
    collector.call("/v1/events", body)
    other = start(kafka.address, valkey.address, tmp_path)
    try:
        wait_for("broker", lambda: other.call("/readyz")[0] == 200, 20)
        assert other.call("/v1/events", body) == (202, {"accepted": 3, "rejected": []})
    finally:
        assert stop(other) == 0
    assert len(stored(kafka, "again-", 3)) == 3
    with redis.Redis.from_url(valkey.address) as client:
        assert 86_000 < int(client.ttl("sl:batch:demo:again")) <= 86_400


def test_sigterm_finishes_what_waits(
    kafka: KafkaServer, valkey: ValkeyServer, tmp_path: Path
) -> None:
    """With a linger of 3 s the request waits in the buffer when the signal comes."""
    ensure_topics(kafka.address, {TOPIC: PARTITIONS})
    running = start(kafka.address, valkey.address, tmp_path, "--linger_ms=3000")
    wait_for("broker", lambda: running.call("/readyz")[0] == 200, 20)
    script = (
        "import sys, urllib.request as u;"
        "r = u.Request(sys.argv[1], sys.argv[2].encode(), {'Content-Type': 'text/plain'});"
        "print(u.urlopen(r, timeout=20).read().decode())"
    )
    url = f"{running.url}/v1/events?key=demo-write-key"
    waiting = subprocess.Popen(
        [sys.executable, "-c", script, url, json.dumps(events("last-", 5))], stdout=subprocess.PIPE
    )
    time.sleep(1)  # the request is in the buffer; nothing outside shows it
    assert stop(running) == 0
    out, _ = waiting.communicate(timeout=20)
    assert json.loads(out) == {"accepted": 5, "rejected": []}
    assert len(stored(kafka, "last-", 5)) == 5


def test_two_collectors_refuse_a_client_together_and_nobody_else(
    kafka: KafkaServer, valkey: ValkeyServer, tmp_path: Path
) -> None:
    ensure_topics(kafka.address, {TOPIC: PARTITIONS})
    limits = ("--requests_per_ip=1", "--burst_per_ip=20")
    both = [start(kafka.address, valkey.address, tmp_path, *limits) for _ in range(2)]
    client = {"X-Forwarded-For": "192.0.2.77"}
    try:
        wait_for("broker", lambda: {one.call("/readyz")[0] for one in both} == {200}, 20)
        began = time.monotonic()
        answers = [both[n % 2].call("/v1/events", events("c-", 1), client) for n in range(50)]
        took = time.monotonic() - began
        statuses = [status for status, _ in answers]
        assert set(statuses) == {202, 429}
        assert 20 <= statuses.count(202) <= 20 + took + 1
        refused = answers[statuses.index(429)][1]["error"]
        assert refused["code"] == "rate_limited"
        assert "requests_per_ip is 1 a second" in refused["message"]
        other = {"X-Forwarded-For": "192.0.2.78"}
        assert both[0].call("/v1/events", events("c-", 1), other)[0] == 202
    finally:
        assert [stop(one) for one in both] == [0, 0]


def test_without_redis_events_are_taken(kafka: KafkaServer, tmp_path: Path) -> None:
    ensure_topics(kafka.address, {TOPIC: PARTITIONS})
    running = start(kafka.address, f"redis://{HOST}:{free_port()}/0", tmp_path)
    try:
        wait_for("broker", lambda: running.call("/readyz")[0] == 200, 20)
        assert running.call("/readyz")[1]["redis"] is False
        body = events("noredis-", 2, batch_id="noredis")
        assert [running.call("/v1/events", body)[0] for _ in range(2)] == [202, 202]
    finally:
        assert stop(running) == 0
    rows = stored(kafka, "noredis-", 4)
    assert len({row["dedup_key"] for row in rows}) == 1
    log = (tmp_path / "collector.log").read_text()
    assert log.count("Redis is away") == 1


def test_without_a_broker_it_says_so(valkey: ValkeyServer, tmp_path: Path) -> None:
    running = start(f"{HOST}:{free_port()}", valkey.address, tmp_path)
    try:
        status, answer = running.call("/v1/events", events("lost-", 1))
        assert (status, answer["error"]["code"]) == (503, "broker_unavailable")
        assert running.call("/readyz")[0] == 503
    finally:
        assert stop(running) == 0


def test_no_address_is_logged(collector: Running, tmp_path: Path) -> None:
    log = Path(os.readlink(f"/proc/{collector.process.pid}/fd/1"))
    collector.call("/v1/events", events("x-", 1), {"X-Forwarded-For": "198.51.100.77"})
    assert "198.51.100.77" not in log.read_text()


def test_sketches_hold_what_pfadd_would(client: redis.Redis) -> None:
    users = [f"user-{n}" for n in range(5_000)]
    client.pfadd("theirs", *users)
    ours = sketch.from_hashes(np.array([sketch.user_hash(u) for u in users], np.uint64))
    theirs = client.get("theirs")
    assert isinstance(theirs, bytes)
    assert sketch.from_blob(theirs).tobytes() == ours.tobytes()
