"""Dead letters on real Kafka, embedded Flink and Valkey: the breaker, and the replay after a fix.

The fix is `--json_project`: without it lines that name no project are dead, with it they are good.
"""

import json
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import redis
from confluent_kafka import Consumer, Producer

from deploy.clickhouse import ClickHouseServer
from deploy.services import KafkaServer, ValkeyServer, ensure_topics
from events import batch, letters
from events.letters import Letter
from pipelines import main, replay, verdicts
from pipelines.breaker import LEAST
from stores.clickhouse import ClickHouseStore
from stores.clickhouse_events import ClickHouseEvents
from stores.contract import Slice
from stores.hot import HotStore
from stores.ledger import LedgerReader
from tests.integration.jobs import start_job
from tests.integration.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(900)]

LATENESS = 30


@dataclass
class Log:
    """A topic of its own and its dead letters, and what was sent, counted one event at a time."""

    bootstrap: str
    topic: str
    project: str
    minutes: Counter[int] = field(default_factory=Counter)  # named by their lines
    unnamed: Counter[int] = field(default_factory=Counter)  # good only after the fix

    def __post_init__(self) -> None:
        ensure_topics(self.bootstrap, {self.topic: 2, self.dead: 1})
        self._producer = Producer({"bootstrap.servers": self.bootstrap, "acks": "all"})

    @property
    def dead(self) -> str:
        return f"{self.topic}-dead"

    @property
    def options(self) -> list[str]:
        return [f"--topic={self.topic}", f"--dead_letter_topic={self.dead}"]

    def send(self, lines: list[tuple[int, bool]], *, times: int = 1) -> None:
        """One message of lines `(ts, whether it names its project)`, with ids; repeated."""
        made = []
        for ts, named in lines:
            record = {"type": "click", "user_id": "ann@example.com", "ts": ts}
            record |= {"id": str(uuid.uuid4())} | ({"project": self.project} if named else {})
            made.append(json.dumps(record))
            (self.minutes if named else self.unnamed)[ts // 60_000 * 60] += 1
        headers = [(batch.HEADER_CONTENT_TYPE, batch.CONTENT_TYPE_NDJSON.encode())]
        for _ in range(times):
            self._producer.produce(
                self.topic, "\n".join(made).encode(), partition=0, headers=list(headers)
            )

    def garbage(self, count: int) -> None:
        for _ in range(count):
            self._producer.produce(self.topic, b"\x00ann@example.com", partition=1)

    def flush(self) -> None:
        assert self._producer.flush(20) == 0

    def letters(self) -> list[Letter]:
        """All that are there."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.bootstrap,
                "group.id": uuid.uuid4().hex,
                "auto.offset.reset": "earliest",
            }
        )
        try:
            consumer.subscribe([self.dead])
            found = []
            while batch_ := consumer.consume(num_messages=1000, timeout=8):
                found += [m for m in batch_ if m.error() is None]
        finally:
            consumer.close()
        for message in found:
            assert b"ann" not in (message.value() or b"")
        return [letters.decode(message.value() or b"") for message in found]


def _counted(client: redis.Redis, log: Log) -> dict[int, int]:
    both = log.minutes + log.unnamed
    start, end = min(both), max(both) + 60
    rows = HotStore(client).series(log.project, (), (), start, end)[:, 0].tolist()
    return {start + 60 * i: count for i, count in enumerate(rows) if count}


def _ledger(client: redis.Redis, log: Log, now: int) -> dict[str, int]:
    pages = LedgerReader(client, HotStore(client)).balances(log.project, now - 600, now + 600)
    return dict(sum((Counter(page.outcomes) for page in pages), Counter[str]()))


def _raw(clickhouse: ClickHouseServer, log: Log, minute: int) -> int:
    events = ClickHouseEvents(clickhouse.address)
    try:
        return int(events.minute_counts(log.project, minute, minute + 60)[0, 0])
    finally:
        events.close()


def _history(clickhouse: ClickHouseServer, log: Log, minute: int) -> dict[str, int]:
    """What the cold store has of a minute, by both paths."""
    store = ClickHouseStore(clickhouse.address, clickhouse.reader_address)
    try:
        counts = store.counts(Slice(log.project, (), (minute, minute + 60)))
    finally:
        store.close()
    return {"minutes": int(counts.measures[0, 0, 0]), "raw": _raw(clickhouse, log, minute)}


@pytest.fixture
def log(kafka: KafkaServer) -> Log:
    name = uuid.uuid4().hex[:8]
    return Log(kafka.address, f"poison-{name}", f"shop-{name}")


def test_poison_stops_the_job_and_a_higher_limit_or_the_fix_counts_exactly(
    log: Log, kafka: KafkaServer, valkey: ValkeyServer, client: redis.Redis, tmp_path: Path
) -> None:
    now = int(time.time() * 1000)
    log.send([(now - i, True) for i in range(30)])
    log.flush()
    job = start_job(kafka.address, valkey.address, tmp_path, *log.options)
    try:
        wait_for("first count", lambda: _counted(client, log) == dict(log.minutes), 60)
        for _ in range(3 * LEAST):
            log.send([(now, False)])
        log.send([(now, True)])
        log.flush()
        assert wait_for("its exit code", job.poll, 120) == main.STOPPED
        lines = job.log_path.read_text().splitlines()
        (said,) = [line for line in lines if line.startswith("pipelines.main: ")]
        assert "dead-letter limit reached:" in said
        assert "message_project_missing" in said
        assert f"the first is at {log.topic}/0/" in said
        stopped = HotStore(client).stopped()
        assert stopped is not None
        assert stopped in said
    finally:
        job.stop()

    job = start_job(
        kafka.address, valkey.address, tmp_path, *log.options, "--dead_letter_limit=off"
    )
    try:
        wait_for("all that is good", lambda: _counted(client, log) == dict(log.minutes), 60)
        keys = {letter.key for letter in log.letters()}
        assert len(keys) == 3 * LEAST
    finally:
        job.stop()

    job = start_job(
        kafka.address, valkey.address, tmp_path, *log.options, f"--json_project={log.project}"
    )
    both = dict(log.minutes + log.unnamed)
    try:
        wait_for("everything", lambda: _counted(client, log) == both, 60)
    finally:
        job.stop()


def test_a_replay_counts_each_dead_line_once_whatever_comes_before_or_after(
    log: Log,
    kafka: KafkaServer,
    valkey: ValkeyServer,
    client: redis.Redis,
    clickhouse: ClickHouseServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    now = int(time.time())
    # Closed soon, and not too late yet.
    minute = (now - LATENESS) // 60 * 60
    log.send([(minute * 1000 + i, i % 2 == 0) for i in range(40)], times=2)  # half of each dead
    log.send([(minute * 1000 + 59_000, False), (minute * 1000 + 1, True)])
    log.garbage(3)
    log.flush()
    options = [
        *log.options,
        f"--kafka_bootstrap={kafka.address}",
        f"--redis_url={valkey.address}",
        f"--allowed_lateness={LATENESS}",
        f"--history_url={clickhouse.address}",
        "--raw_events",
    ]
    fixed = [*options, f"--json_project={log.project}"]
    job = start_job(kafka.address, valkey.address, tmp_path, *options, "--dead_letter_limit=off")
    try:
        wait_for("what is good", lambda: _counted(client, log) == dict(log.minutes), 60)
        wait_for("its ledger", lambda: _ledger(client, log, now).get("counted") == 21, 30)
        found = log.letters()
        assert Counter(letter.reason for letter in found) == {
            "message_project_missing": 41,  # the repeated message's too
            "message_undecodable": 3,
        }
        assert {(each.row, each.rows) for each in found if each.offset == 0 and each.row} == {
            (row, 1) for row in range(1, 40, 2)
        }
        capsys.readouterr()

        assert replay.main(fixed) == replay.LEFT
        assert _outcomes(capsys) == {"open": 41, "bad": 3}
        assert _counted(client, log) == dict(log.minutes)
        received = now // 60 * 60 + 60  # at the latest; the ledger's minute closes last
        mark = (received + 60 + LATENESS) * 1000 + verdicts.MARGIN_MS
        wait_for(
            "the minutes to close",
            lambda: min(HotStore(client).watermarks(time.time()).values(), default=0) > mark,
            300,
        )
        later = int(time.time())
        log.send([(later * 1000, True), (later * 1000, False)])  # stays open
        log.flush()
        wait_for("the good one of them", lambda: _counted(client, log) == dict(log.minutes), 60)
        wait_for("its letter", lambda: len(log.letters()) == 45, 60)
        assert replay.main([*fixed, "--dry_run"]) == replay.LEFT
        assert _outcomes(capsys) == {"counted": 41, "open": 1, "bad": 3}
        assert _counted(client, log) == dict(log.minutes)

        assert replay.main([*fixed, "--reason=message_undecodable"]) == replay.LEFT
        assert _outcomes(capsys) == {"bad": 3}
        assert replay.main(fixed) == replay.LEFT
        assert _outcomes(capsys) == {"counted": 41, "open": 1, "bad": 3}
        closed = log.minutes + log.unnamed
        closed[later // 60 * 60] -= 1  # still open
        assert _counted(client, log) == dict(closed)
        assert _history(clickhouse, log, minute) == {"minutes": 42, "raw": 42}
        # Nothing is missing and nothing twice: 42 events and the 40 that repeat, and a later one.
        assert _ledger(client, log, now) == {"counted": 43, "duplicate": 40}

        until = f"--until={time.strftime('%Y-%m-%dT%H:%M:%S+00:00', time.gmtime(now + 600))}"
        assert replay.main([*fixed, until]) == replay.LEFT
        assert _outcomes(capsys) == {"before": 41, "open": 1, "bad": 3}
        assert _counted(client, log) == dict(closed)
    finally:
        job.stop()

    job = start_job(
        kafka.address, valkey.address, tmp_path, *fixed, "--start=earliest",
        "--dead_letter_limit=off",
    )  # fmt: skip
    both = dict(log.minutes + log.unnamed)
    try:
        wait_for("a job with the fix", lambda: _counted(client, log) == both, 90)
        wait_for("its raw events", lambda: _raw(clickhouse, log, later // 60 * 60) == 2, 60)
        assert _history(clickhouse, log, minute) == {"minutes": 42, "raw": 42}
        assert _ledger(client, log, now) == {"counted": 44, "duplicate": 40}
    finally:
        job.stop()


def _outcomes(capsys: pytest.CaptureFixture[str]) -> dict[str, int]:
    """The sums of the table's columns that are not 0."""
    lines = capsys.readouterr().out.splitlines()
    rows = [line.split() for line in lines[1 : lines.index("")]]
    numbers = [[int(cell.replace(",", "")) for cell in row[2:]] for row in rows]
    sums = [sum(column) for column in zip(*numbers, strict=True)]
    return {name: count for name, count in zip(verdicts.OUTCOMES, sums, strict=True) if count}
