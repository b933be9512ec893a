"""What readers show of themselves."""

import time
from typing import Any

import pytest

from pipelines import sources, watch
from pipelines.log_reader import LogReader, LogSettings
from telemetry.metrics import JOB
from tests.unit.pipelines.test_sources import NOW_MS, FakeReader, _json, _read
from tests.unit.telemetry.samples import value


class Standing:
    """A reader of two partitions, one of which has not been heard of."""

    partitions = (8_001, 8_002)

    def __init__(self, mark: int) -> None:
        self.mark = mark

    def behind(self) -> dict[int, int]:
        return {8_001: 12}

    def watermark_of(self, partition: int) -> int | None:
        return self.mark if partition == 8_001 else None


def lag(partition: int) -> float:
    return value(JOB, "watermark_lag_seconds", partition=str(partition))


def note(reader: Any, path: str) -> None:
    watch.note(reader, path)


def test_a_lag_grows_with_the_clock_and_falls_with_the_watermark(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [2_000.0]
    monkeypatch.setattr(time, "time", lambda: now[0])
    note(Standing(1_990_000), "numbers")
    assert lag(8_001) == 10
    now[0] += 30  # and no poll
    assert lag(8_001) == 40
    note(Standing(2_025_000), "numbers")
    assert lag(8_001) == 5
    labels = {"partition": "8002"}
    assert JOB.registry.get_sample_value("streamlens_job_watermark_lag_seconds", labels) is None


def test_messages_behind_the_end_by_path() -> None:
    note(Standing(1), "raw")
    assert value(JOB, "consumer_lag_messages", path="raw", partition="8001") == 12


def test_a_reader_that_has_fetched_nothing_knows_no_end() -> None:
    reader = LogReader(LogSettings("127.0.0.1:1", "events"), (0, 1))
    try:
        assert reader.behind() == {}
        reader.seek({0: 5, 1: 6}, None)
        assert reader.behind() == {}
    finally:
        reader.close()


def test_a_poll_is_counted() -> None:
    log = LogSettings("nowhere:1", "events")
    dofn = sources.ReadKafka(sources.ReadSettings(log, allowed_lateness=600, project="p"))

    def counted() -> list[float]:
        return [
            value(JOB, "rows_decoded_total", path="numbers"),
            value(JOB, "duplicates_total", path="numbers"),
            value(JOB, "too_late_total"),
            value(JOB, "dead_letters_total", reason="message_empty"),
        ]

    before = counted()
    reader = FakeReader(watermark=NOW_MS + 660_000)
    early = _json(NOW_MS, 1)
    _read(dofn, reader, early, _json(NOW_MS + 60_000, 2), _json(NOW_MS + 60_000, 2), b"")
    assert [b - a for a, b in zip(before, counted(), strict=True)] == [3, 1, 1, 1]
