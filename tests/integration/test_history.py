"""History on real ClickHouse: the truth check over 48 hours and the seam; an outage; agreement."""

import json
import time
import urllib.request
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis

from deploy.children import PythonChild, lives
from stores import compare
from stores.clickhouse import ClickHouseStore
from stores.clickhouse_events import ClickHouseEvents
from stores.contract import DAY, HOUR, Slice, edges
from stores.hot import HotStore
from stores.hot_reads import HotReader
from stores.pane import MEASURES, MINUTE
from tests import replay
from tests.integration.jobs import kill_hard
from tests.integration.stack import Stack, running
from tests.integration.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(900)]

HOURS = 48
OUTAGE = 120  # seconds


def test_the_truth_over_48_hours_and_the_seam(tmp_path: Path) -> None:
    """A replay shifted into the last 48 hours, the job killed with -9 and started from scratch."""
    with running(tmp_path, "--start=earliest", job_waits=True) as stack:
        end = int(time.time()) // MINUTE * MINUTE
        start = end - HOURS * HOUR
        visits = replay.visits(end, HOURS * 60)
        expected = replay.truth(visits, stack.geo)
        collector, service = stack.settings.collector_url, stack.settings.service_url
        todo = list(replay.requests(visits, seed=2))
        # Two days pass in a minute: the job must find them in the log, in order, or all but the
        # last hour would be too late.
        assert replay.send_twice(collector, service, todo, senders=48) == 2 * len(visits)
        hot = HotStore(redis.Redis.from_url(stack.valkey.address))
        stack.job.start()
        wait_for("first minutes", lambda: bool(hot.series("demo", (), (), start, end).any()), 60)
        stack.kill_job()

        with closing(ClickHouseStore.from_url(stack.settings.history_reader_url)) as cold:
            for step in (MINUTE, HOUR, DAY):
                wrong = partial(_cold_differences, cold, expected, start, end, step)
                wait_for(f"agreement by {step} s", partial(_none, wrong), 90)
            reader = HotReader(hot)
            assert list(compare.differences(reader, cold, "demo", end - 24 * HOUR, end)) == []

        # Asked only now: what is older than two hours is taken as sealed, and kept for a while.
        with closing(replay.Client(collector, service)) as client:
            for granularity in ("1m", "1h", "1d"):
                assert replay.differences(client, expected, start, end, granularity) == []
            answer = client.metrics(start=start, end=end, granularity="1h", metrics="unique_users")
        served = {part["store"]: part for part in answer["served"]}
        assert set(served) == {"hot", "clickhouse"}
        assert served["clickhouse"]["end"] == served["hot"]["start"] == answer["boundary"]
        assert answer["boundary"] == (int(answer["as_of"]) // HOUR - 24) * HOUR
        assert set(answer["status"]) <= {"final", "revised", "none"}


def _none(find: Callable[[], list[str]]) -> bool:
    return not find()


def _cold_differences(
    cold: ClickHouseStore, expected: replay.Truth, start: int, end: int, step: int
) -> list[str]:
    """What ClickHouse alone says per step, against the truth."""
    found = []
    low, high = start // step * step, -(-end // step) * step
    cuts = edges(low, high, step)
    columns = {"page_view": MEASURES.index("page_views"), "error": MEASURES.index("errors")}
    for dimension in ("", "country", "device"):
        grouping = (dimension,) if dimension else ()
        counts = cold.counts(Slice("demo", grouping, cuts, by=grouping))
        said = {
            (values[0] if values else "", cuts[i], kind): int(measures[i, column])
            for values, measures in zip(counts.series, counts.measures, strict=True)
            for i in range(len(cuts) - 1)
            for kind, column in columns.items()
            if measures[i, column]
        }
        true: dict[tuple[str, int, str], int] = {}
        for (dim, value), minutes in expected.minutes.items():
            for minute, kinds in minutes.items():
                for kind, count in kinds.items():
                    if dim == dimension:
                        key = (value, minute // step * step, kind)
                        true[key] = true.get(key, 0) + count
        found += [
            f"{k}: {said.get(k)}" for k in said.keys() | true.keys() if said.get(k) != true.get(k)
        ]
    return found


def test_an_outage_of_clickhouse_loses_nothing_and_is_said(tmp_path: Path) -> None:
    """Killed with -9 under load, away for two minutes; then all stores agree."""
    with running(tmp_path) as stack, _demo(stack, tmp_path):
        store = HotStore(redis.Redis.from_url(stack.valkey.address))
        began = int(time.time()) // MINUTE * MINUTE

        def closed(minute: int) -> bool:
            return int(store.status("demo", minute, minute + MINUTE)[0]) >= 2

        wait_for("a closed minute", lambda: closed(began), 120)
        kill_hard(stack.clickhouse)
        down = int(time.time())
        reply = _get(stack, "/v1/metrics?start=-26h&granularity=1h&metrics=events")
        assert [gap["store"] for gap in reply["missing"]] == ["clickhouse"]
        assert reply["status"][0] == "missing"
        assert reply["series"][0]["events"][0] is None
        assert reply["series"][0]["events"][-1] > 0
        recent = _get(stack, "/v1/metrics?start=-5m&granularity=total&metrics=events")
        assert recent["missing"] == []

        # Live numbers go on meanwhile, and minutes close.
        wait_for("time to pass", lambda: time.time() > down + OUTAGE, OUTAGE + 30)
        during = down // MINUTE * MINUTE
        assert closed(during)
        stack.clickhouse.start()

        wait_for(
            "an answer",
            lambda: not _get(stack, "/v1/metrics?start=-26h&granularity=1h")["missing"],
            30,
        )
        with (
            closing(ClickHouseStore.from_url(stack.settings.history_reader_url)) as cold,
            closing(ClickHouseEvents.from_url(stack.settings.history_reader_url)) as events,
        ):
            hot = HotReader(store)
            until = during + 3 * MINUTE
            wait_for("the last minute to close", lambda: closed(until - MINUTE), 120)
            found: list[str] = []

            def agrees() -> bool:
                found[:] = list(compare.differences(hot, cold, "demo", began, until))
                return not found

            wait_for(lambda: f"agreement: {found[:5]}", agrees, 60)
            rows = cold.counts(Slice("demo", (), (began, until))).measures[0, 0]
            assert rows[0] > 1_000

            def ledger() -> bool:
                raw = events.minute_counts("demo", began, until)
                mine = store.series("demo", (), (), began, until)
                return bool((raw == mine).all())

            wait_for("raw events to agree", ledger, 60)


def _demo(stack: Stack, folder: Path) -> PythonChild:
    settings = stack.settings
    arguments = ["deploy.demo", "--url", settings.collector_url, "--key", "demo-write-key"]
    return PythonChild(
        "demo",
        [*arguments, "--rate", "100"],
        lives(1.0),
        log_path=folder / "demo.log",
        environment={},
        ready_within=30,
    )


def _get(stack: Stack, path: str) -> Any:
    request = urllib.request.Request(
        stack.settings.service_url + path, headers={"X-Read-Key": "demo-read-key"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())
