"""A stretch of the log, counted again, with a log that needs no broker."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events import batch
from pipelines import recount, sources
from pipelines.log_reader import LogSettings
from pipelines.raw import StoreEvents
from pipelines.recount import Stretch, Wanted
from stores.contract import RawBatch, StoreUnavailable
from stores.pane import REVISED, Pane
from tests.unit.pipelines.lines import MINUTE, NOW, line, message
from transforms.decode import Message


class Log:
    """A partition in memory, in the place of `read_range`."""

    def __init__(self, held: Sequence[Message]) -> None:
        self.held = held

    def __call__(self, _: Any, partition: int, *, since_ms: int, before: int) -> Iterator[Message]:
        for each in self.held:
            if each.partition == partition and each.broker_ms >= since_ms and each.offset < before:
                yield each


def count(
    held: Sequence[Message], wanted: Wanted, monkeypatch: pytest.MonkeyPatch
) -> recount.Recount:
    monkeypatch.setattr(recount, "read_range", Log(held))
    read = sources.ReadSettings(LogSettings("nowhere:1", "events"), allowed_lateness=600)
    return recount.recount(read, wanted, {3: len(held)}, None)


def _total(panes: list[Pane]) -> dict[int, int]:
    return {pane.start: pane.rows for pane in panes if not pane.grouping}


def test_a_recount_has_all_of_its_minutes_and_nothing_of_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held = [
        message(line(), line(NOW - 60_000), b"{bad", offset=0),
        message(line(NOW + 1, "q"), line(NOW + 1), offset=1),
        message(line(NOW + 59_999), offset=2, broker_ms=NOW + 300_000),
    ]
    wanted = Wanted({("p", MINUTE)}, {("p", MINUTE)}, {(3, 0)})
    found = count(held, wanted, monkeypatch)
    assert {(pane.project, pane.status) for pane in found.panes} == {("p", REVISED)}
    assert _total(found.panes) == {MINUTE: 3}
    (page,) = [pane for pane in found.panes if recount.is_ledger(pane)]
    assert (page.start, page.series, page.measures[:, 0].tolist()) == (MINUTE, [("counted",)], [3])
    assert found.messages == 3
    assert len([pane for pane in found.panes if not recount.is_ledger(pane)]) == 8


def test_duplicates_and_late_events_are_left_out_as_the_job_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held = [
        message(line(number=1), offset=0),
        message(line(number=1), line(number=2), offset=1, broker_ms=NOW + 60_000),
        message(line(NOW + 800_000), offset=2, broker_ms=NOW + 800_000),
        message(line(number=3), offset=3, broker_ms=NOW + 810_000),
    ]
    found = count(held, Wanted({("p", MINUTE)}, set(), set()), monkeypatch)
    assert _total(found.panes) == {MINUTE: 2}


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 3_000), min_size=1, max_size=60), st.integers(0, 59))
def test_a_killed_or_repeated_replay_ends_in_the_same_numbers(
    seconds: list[int], killed_after: int
) -> None:
    """Larger count wins, so any subset written before, in any order, changes nothing."""
    held = [
        message(line(NOW + s * 1_000), offset=i, broker_ms=NOW + s * 1_000)
        for i, s in enumerate(sorted(seconds))
    ]
    minutes = {("p", (NOW // 1000 + s) // 60 * 60) for s in seconds}
    with pytest.MonkeyPatch.context() as patch:
        first = _total(count(held, Wanted(minutes, set(), set()), patch).panes)
        again = _total(count(held, Wanted(minutes, set(), set()), patch).panes)
    assert first == again
    store: dict[int, int] = {}
    for start, rows in [*list(first.items())[:killed_after], *again.items()]:
        store[start] = max(store.get(start, 0), rows)
    assert store == first
    assert sum(store.values()) == len(seconds)


def test_an_idle_partition_followed_the_clock() -> None:
    stretch = Stretch(LogSettings("nowhere:1", "events"), set())
    assert stretch.watermark_of(3) is None
    stretch.tick([message(broker_ms=NOW)])
    stretch.saw(3, NOW + 60_000)  # never past the clock
    assert stretch.watermark_of(3) == NOW - 10_000
    stretch.tick([message(broker_ms=NOW + 3_000)])
    assert stretch.watermark_of(3) == NOW - 10_000
    stretch.tick([message(broker_ms=NOW + 90_000)])
    assert stretch.watermark_of(3) == NOW + 80_000


def test_answers_about_duplicates_are_the_same_for_the_raw_events() -> None:
    stretch = Stretch(LogSettings("nowhere:1", "events"), {(3, 8)})
    keys = np.array([4, 6], np.uint64)
    for offset in (7, 8):
        stretch.fresh([message(offset=offset)], np.array([len(keys)]), keys)
    assert list(stretch.masks) == [(3, 8)]
    (mask,) = stretch.masks[3, 8]
    assert mask is not None
    assert mask.tolist() == [False, False]


class Shelf:
    """A store of raw events that only takes, as long as it is there."""

    def __init__(self) -> None:
        self.found: list[RawBatch] = []
        self.away = False

    def write_events(self, batches: Sequence[RawBatch]) -> int:
        if self.away:
            raise StoreUnavailable("away")
        self.found += batches
        return len(batches)

    def close(self) -> None:
        """Nothing to let go."""


def test_raw_rows_are_those_of_the_wanted_messages_without_repeats(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    none = message(offset=1)._replace(
        payload=batch.encode("p", {key: [] for key in batch.SCHEMA.names})
    )
    held = [
        message(line(number=1), line(number=2), offset=0),
        none,
        message(line(number=2), b"{bad", line(NOW, "q", 3), line(number=4), offset=2),
    ]
    monkeypatch.setattr(recount, "read_range", Log(held))
    read = sources.ReadSettings(LogSettings("nowhere:1", "events"), allowed_lateness=600)
    shelf = Shelf()
    raw = StoreEvents(read, "clickhouse://x", lambda _: shelf)
    raw.connect()
    wanted = Wanted({("p", MINUTE)}, {("p", MINUTE)}, {(3, 1), (3, 2)})
    recount.recount(read, wanted, {3: 3}, raw)
    assert [(b.project, b.offset, b.numbers.tolist()) for b in shelf.found] == [
        ("p", 2, [3]),
        ("q", 2, [2]),
    ]
    shelf.away = True
    with pytest.raises(StoreUnavailable):
        recount.recount(read, wanted, {3: 3}, raw)
