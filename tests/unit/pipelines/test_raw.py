"""Raw events: what is stored, and that nothing is claimed which could not be."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from apache_beam.io.iobase import RestrictionTracker

from pipelines import raw, sources
from pipelines.log_reader import LogSettings
from stores.contract import EventStore, RawBatch, StoreUnavailable
from transforms.decode import Message
from transforms.duplicates import Duplicates

NOW_MS = 1_700_000_040_000


def event(number: int, **fields: str) -> bytes:
    more = "".join(f',"{name}":"{value}"' for name, value in fields.items())
    name = f"018bcfe5-6800-7000-8000-{number:012d}"
    return f'{{"id":"{name}","type":"click","user_id":"u","ts":{NOW_MS}{more}}}'.encode()


class FakeReader:
    """A log of some messages in partition 3."""

    def __init__(self, *payloads: bytes) -> None:
        self.messages = [
            Message(payload, partition=3, offset=10 + i, broker_ms=NOW_MS)
            for i, payload in enumerate(payloads)
        ]
        self.position = {3: 10}
        self.polls = 0
        self._known = Duplicates()

    def seek(self, offsets: dict[int, int], _: None) -> None:
        self.position = dict(offsets)

    def poll(self, _: float) -> list[Message]:
        self.polls += 1
        self.position = {3: 10 + len(self.messages)}
        return self.messages

    def behind(self) -> dict[int, int]:
        return {3: 7}

    def fresh(self, messages: Sequence[Message], counts: Any, keys: Any) -> Any:
        return self._known.fresh(keys, messages[0].broker_ms)


class FakeTracker:
    """What was claimed, and when the rest is to be read."""

    def __init__(self) -> None:
        self.claimed: dict[int, int] | None = None
        self.deferred: list[int] = []

    def current_restriction(self) -> tuple[dict[int, int], None]:
        return {3: 10}, None

    def try_claim(self, position: dict[int, int]) -> bool:
        self.claimed = position
        return True

    def defer_remainder(self, delay: Any) -> None:
        self.deferred.append(int(delay.micros) // 1_000_000)


class Shelf:
    """A store of raw events in memory."""

    def __init__(self) -> None:
        self.batches: list[RawBatch] = []
        self.away = False

    def write_events(self, batches: Sequence[RawBatch]) -> int:
        if self.away:
            raise StoreUnavailable("restarts")
        self.batches += batches
        return len(batches)

    def close(self) -> None:
        pass


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


def run(shelf: Shelf, reader: FakeReader, monkeypatch: pytest.MonkeyPatch) -> FakeTracker:
    @contextmanager
    def reading(*_: Any) -> Iterator[FakeReader]:
        yield reader

    monkeypatch.setattr(sources, "reading", reading)
    settings = sources.ReadSettings(LogSettings("nowhere:1", "events"), project="p")

    def connect(_: str) -> EventStore:
        return shelf

    dofn = raw.StoreEvents(settings, "shelf://", connect)
    dofn.setup()
    tracker = FakeTracker()
    assert list(dofn.process((3,), tracker)) == []
    return tracker


def test_rows_keep_their_place_in_the_log(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    two = b"\n".join((event(1, url="/a"), event(2, project="q")))
    tracker = run(shelf, FakeReader(two, event(3)), monkeypatch)
    places = [(b.project, b.partition, b.offset, b.numbers.tolist()) for b in shelf.batches]
    assert places == [("p", 3, 10, [0]), ("q", 3, 10, [1]), ("p", 3, 11, [0])]

    row = shelf.batches[0].rows.to_pylist()[0]
    assert (row["url"], row["user_id"], row["type"]) == ("/a", "u", "click")
    assert row["received_at"] == NOW_MS
    assert tracker.claimed == {3: 12}
    assert tracker.deferred == [0]


def test_a_line_that_is_mended_moves_no_other(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a job with the fix, which reads it all again, would store the others twice."""
    lines = [event(1), b"{broken", event(2)]
    run(shelf, FakeReader(b"\n".join(lines)), monkeypatch)
    run(shelf, FakeReader(b"\n".join([lines[0], event(3), lines[2]])), monkeypatch)
    assert [b.numbers.tolist() for b in shelf.batches] == [[0, 2], [0, 1, 2]]


def test_duplicates_are_left_out_by_the_same_rule(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = b"\n".join((event(1), event(2)))
    run(shelf, FakeReader(event(1), again), monkeypatch)
    assert [(b.offset, b.numbers.tolist()) for b in shelf.batches] == [(10, [0]), (11, [1])]


def test_what_could_not_be_stored_is_not_claimed(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.away = True
    tracker = run(shelf, FakeReader(event(1)), monkeypatch)
    assert tracker.claimed is None
    assert tracker.deferred == [raw.RETRY_SECONDS]


def test_what_could_not_be_stored_is_not_read_again(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = FakeReader(event(1), event(2))
    shelf.away = True
    run(shelf, reader, monkeypatch)
    run(shelf, reader, monkeypatch)
    shelf.away = False
    tracker = run(shelf, reader, monkeypatch)
    assert reader.polls == 1
    assert [batch.offset for batch in shelf.batches] == [10, 11]
    assert (tracker.claimed, tracker.deferred) == ({3: 12}, [0])


def test_a_reader_that_was_elsewhere_meanwhile_reads_again(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = FakeReader(event(1), event(2))
    shelf.away = True
    run(shelf, reader, monkeypatch)
    reader.position = {3: 11}
    reader._known = Duplicates()
    shelf.away = False
    run(shelf, reader, monkeypatch)
    assert reader.polls == 2
    assert [batch.offset for batch in shelf.batches] == [10, 11]


def test_messages_that_hold_no_rows_are_claimed(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker = run(shelf, FakeReader(b"\x00", b""), monkeypatch)
    assert not shelf.batches
    assert tracker.claimed == {3: 12}


def test_it_reads_as_the_counting_reader_does() -> None:
    settings = sources.ReadSettings(LogSettings("nowhere:1", "events"))
    tracker = raw.StoreEvents(settings, "").create_tracker(({3: 10}, None))
    assert isinstance(tracker, RestrictionTracker)
    assert tracker.try_split(0) == (({3: 10}, {3: 10}), ({3: 10}, None))
