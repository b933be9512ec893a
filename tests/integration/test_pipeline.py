"""The job on real Kafka, embedded Flink and Valkey: exact, also across kill -9."""

import json
import random
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import redis
from confluent_kafka import Consumer, Producer

from deploy.services import KafkaServer, ValkeyServer, ensure_topics
from events import batch, letters, sketch
from stores.hot import HotStore
from stores.hot_reads import HotReader
from stores.pane import FINAL, PARTIAL, REVISED
from tests.integration.failing_job import FAULT
from tests.integration.jobs import kill_hard, start_job
from tests.integration.users import unique_users
from tests.integration.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]

Headers = list[tuple[str, str | bytes | None]]

COUNTRIES = ("US", "DE", "FR")


class Sent:
    """What went to Kafka, counted here one event at a time."""

    def __init__(self, bootstrap: str) -> None:
        self.minutes: Counter[int] = Counter()
        self.countries: Counter[str] = Counter()
        self.users: set[str] = set()
        self._rng = random.Random(7)
        self._producer = Producer({"bootstrap.servers": bootstrap, "acks": "all"})
        # Another test's requests, still in the log, are not these.
        self._batches = random.SystemRandom().getrandbits(48)

    def arrow(self, partition: int, times: list[int], *, repeat: bool = False) -> None:
        """One EventBatch; with `repeat` it is produced twice, as a retried request is."""
        rng, n = self._rng, len(times)
        users = [f"u{rng.randrange(2000)}" for _ in times]
        countries = rng.choices(COUNTRIES, k=n)
        self._batches += 1
        columns: dict[str, list[object]] = {name: [None] * n for name in batch.SCHEMA.names}
        columns |= {
            "event_time": list(times),
            "client_time": list(times),
            "received_at": list(times),
            "event_id": [rng.randbytes(16) for _ in times],
            "dedup_key": [self._batches * 2 + 1] * n,
            "type": rng.choices(["page_view", "click"], k=n),
            "user_id": list(users),
            "user_hash": [sketch.user_hash(user) for user in users],
            "category": [""] * n,
            "country": list(countries),
            "device": ["desktop"] * n,
            "bot": [False] * n,
            "revenue_micros": [0] * n,
        }
        payload = batch.encode("demo", columns)
        headers: Headers = [(batch.HEADER_CONTENT_TYPE, batch.CONTENT_TYPE.encode())]
        for _ in range(2 if repeat else 1):
            self._producer.produce("events", payload, partition=partition, headers=headers)
        self._count(times, countries, users)

    def ndjson(self, partition: int, times: list[int]) -> None:
        """The same events from a producer that is not ours."""
        lines = [
            json.dumps({"type": "click", "user_id": "j", "ts": ts, "country": "FR"}) for ts in times
        ]
        payload = "\n".join(lines).encode()
        headers: Headers = [(batch.HEADER_PROJECT, b"demo")]
        self._producer.produce("events", payload, partition=partition, headers=headers)
        self._count(times, ["FR"] * len(times), ["j"])

    def garbage(self, partition: int) -> None:
        """A message that nobody can decode."""
        self._producer.produce("events", b"\x00garbage", partition=partition)

    def flush(self) -> None:
        assert self._producer.flush(20) == 0

    def _count(self, times: list[int], countries: list[str], users: list[str]) -> None:
        self.minutes.update(ts // 60_000 * 60 for ts in times)
        self.countries.update(countries)
        self.users.update(users)


def _send_some(sent: Sent, rounds: int, start_ms: int, end_ms: int) -> None:
    rng = random.Random(start_ms)
    for i in range(rounds):
        for partition in range(8):
            times = [rng.randrange(start_ms, end_ms) for _ in range(50)]
            sent.arrow(partition, times, repeat=i % 3 == 0)
    sent.ndjson(3, [start_ms, end_ms - 1])
    sent.garbage(5)
    sent.flush()


def _minutes(store: HotStore, start: int, end: int) -> dict[int, int]:
    rows = store.series("demo", (), (), start, end)[:, 0].tolist()
    return {start + 60 * i: count for i, count in enumerate(rows) if count}


def test_exact_counts_across_a_hard_kill(
    kafka: KafkaServer, valkey: ValkeyServer, client: redis.Redis, tmp_path: Path
) -> None:
    ensure_topics(kafka.address)
    store = HotStore(client)
    now = int(time.time())
    start, end = now // 60 * 60 - 900, now // 60 * 60 + 120
    sent = Sent(kafka.address)
    _send_some(sent, 6, start * 1000, now * 1000 - 300_000)  # out of order within 10 minutes

    job = start_job(kafka.address, valkey.address, tmp_path)
    try:
        wait_for("first count", lambda: bool(_minutes(store, start, end)), 60)
        _send_some(sent, 4, now * 1000 - 300_000, now * 1000)
        kill_hard(job)  # somewhere in the middle
        _send_some(sent, 2, start * 1000, now * 1000)  # late, and while nobody reads
        job = start_job(kafka.address, valkey.address, tmp_path)
        wait_for("complete count", _agreement(store, sent, start, end), 120)

        assert _minutes(store, start, end) == dict(sent.minutes)
        members = store.members("demo", ("country",), start, end)
        assert members == sorted((c,) for c in COUNTRIES)
        unique = unique_users(HotReader(store), "demo", start, end)
        assert unique == pytest.approx(len(sent.users), rel=0.03)

        def complete() -> bool:
            status = store.status("demo", start, now // 60 * 60 - 60)
            seen = np.array([sent.minutes[start + 60 * i] > 0 for i in range(len(status))])
            return bool(np.isin(status[seen], (FINAL, REVISED)).all())

        wait_for("final minutes", complete, 90)
        current = store.status("demo", start, end)
        assert set(current.tolist()) <= {0, PARTIAL, FINAL, REVISED}
        assert _minutes(store, start, end) == dict(sent.minutes)
        dead = wait_for("dead letters", lambda: _dead_letters(kafka.address), 30)
        assert dead == {"message_undecodable"}
    finally:
        job.stop()


@pytest.mark.slow
def test_exact_counts_after_a_restore_from_a_checkpoint(
    kafka: KafkaServer,
    valkey: ValkeyServer,
    client: redis.Redis,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Flink restores offsets, watermark and windows; the job's own process lives on."""
    ensure_topics(kafka.address)
    store = HotStore(client)
    now = int(time.time())
    start, end = now // 60 * 60 - 300, now // 60 * 60 + 120
    checkpoints, trigger = tmp_path / "checkpoints", tmp_path / "fail"
    checkpoints.mkdir()
    monkeypatch.setenv("FAULT_WHEN_THERE", str(trigger))
    sent = Sent(kafka.address)
    before = datetime.now(UTC).isoformat()
    _send_some(sent, 3, start * 1000, now * 1000)
    job = start_job(
        kafka.address,
        valkey.address,
        tmp_path,
        f"--start={before}",
        "--checkpointing_interval=2000",
        "--state_backend=filesystem",
        f"--state_backend_storage_path=file://{checkpoints}",
        module="tests.integration.failing_job",
    )
    try:
        agrees = _agreement(store, sent, start, end)
        wait_for("first count", agrees, 60)
        wait_for("a checkpoint", lambda: list(checkpoints.rglob("_metadata")), 60)
        pid = job.pid
        trigger.touch()
        _send_some(sent, 3, start * 1000, now * 1000)
        wait_for("the fault", lambda: FAULT in job.log_path.read_text(), 60)
        _send_some(sent, 2, start * 1000, now * 1000)
        wait_for("complete count", agrees, 120)
        assert (job.poll(), job.pid) == (None, pid)
    finally:
        job.stop()


def _agreement(store: HotStore, sent: Sent, start: int, end: int) -> Callable[[], bool]:
    """Whether the store has every minute and every country; each grouping set fires by itself."""

    def agrees() -> bool:
        countries = {
            country: int(store.series("demo", ("country",), (country,), start, end)[:, 0].sum())
            for country in COUNTRIES
        }
        return _minutes(store, start, end) == dict(sent.minutes) and countries == dict(
            sent.countries
        )

    return agrees


def _dead_letters(bootstrap: str) -> set[str]:
    config = {"bootstrap.servers": bootstrap, "group.id": "t", "auto.offset.reset": "earliest"}
    consumer = Consumer(config)
    try:
        consumer.subscribe(["events-dead"])
        messages = consumer.consume(num_messages=3, timeout=10)
        good = [m for m in messages if m.error() is None]
        found = [letters.decode(m.value() or b"") for m in good]
        assert all(
            (m.key() or b"").decode() == each.key for m, each in zip(good, found, strict=True)
        )
        assert {(each.form, each.size) for each in found} == {("binary", len(b"\x00garbage"))}
        return {each.reason for each in found}
    finally:
        consumer.close()
