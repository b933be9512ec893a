"""The watermark of a reader, by a clock that the test holds. No broker is asked."""

from collections.abc import Iterator

import pytest

from pipelines import log_reader
from pipelines.log_reader import LogReader, LogSettings

NOW = 1_700_000_000.0


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def reader(clock: Clock) -> Iterator[LogReader]:
    settings = LogSettings("127.0.0.1:1", "events", out_of_orderness=10, idle_seconds=5)
    made = LogReader(settings, (0, 1), clock=clock)
    made.seek({0: 7, 1: 9}, None)
    yield made
    made.close()


def test_nothing_is_known_before_every_partition_has_spoken(reader: LogReader) -> None:
    reader.saw(0, int(NOW * 1000) - 5_000)
    assert reader.watermark() is None
    reader.saw(1, int(NOW * 1000) - 90_000)
    assert reader.watermark() == int(NOW * 1000) - 100_000


def test_a_partition_never_goes_back(reader: LogReader) -> None:
    reader.saw(0, int(NOW * 1000))
    reader.saw(0, int(NOW * 1000) - 60_000)
    assert reader.watermark_of(0) == int(NOW * 1000) - 10_000


def test_events_from_the_future_do_not_move_it_past_the_clock(reader: LogReader) -> None:
    reader.saw(0, int(NOW * 1000) + 60_000)
    assert reader.watermark_of(0) == int(NOW * 1000) - 10_000


def test_an_idle_partition_follows_the_clock_only_at_the_end_of_its_log(
    reader: LogReader, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = {0: 7, 1: 10}
    monkeypatch.setattr(reader, "_ends", lambda partitions: {p: ends[p] for p in partitions})
    reader.saw(0, int(NOW * 1000))
    reader.saw(1, int(NOW * 1000) - 90_000)
    clock.now += 60
    assert reader.watermark() == int(NOW * 1000) - 100_000  # lagging is not idle
    ends[1] = 9
    clock.now += 60
    assert reader.watermark() == int(clock.now * 1000) - 10_000


def test_a_broker_that_is_away_holds_the_watermark(
    reader: LogReader, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for partition in (0, 1):
        reader.saw(partition, int(NOW * 1000))
    clock.now += 60
    lost = clock.now
    assert reader.watermark() == int(NOW * 1000) - 10_000  # nobody listens at this address
    clock.now += 600
    assert reader.watermark() == int(NOW * 1000) - 10_000
    assert reader.lost_since == lost
    monkeypatch.setattr(reader, "_ends", lambda partitions: {0: 7, 1: 9})
    clock.now += 60
    assert reader.watermark() == int(clock.now * 1000) - 10_000
    assert reader.lost_since is None


@pytest.mark.parametrize(
    ("said", "count"),
    [(b"7", 7), (None, 1), (b"", 1), (b"0", 1), (b"-3", 1), (b"100001", 1), (b"\xb2", 1)],
)
def test_a_message_says_how_many_rows_it_holds(said: bytes | None, count: int) -> None:
    assert log_reader._count({"count": said}) == count


def test_a_restored_watermark_holds_until_more_is_seen(reader: LogReader) -> None:
    reader.seek({0: 1, 1: 1}, 123_000)
    assert reader.watermark() == 123_000
    reader.seek({0: 1, 1: 1}, None)  # already there: nothing is forgotten
    assert reader.watermark() == 123_000
