"""The reader's work on one poll, with a log reader that needs no broker."""

from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines import sources
from pipelines.breaker import LEAST, Limit, TooManyDead
from pipelines.log_reader import LogSettings
from transforms.decode import Mask, Message
from transforms.duplicates import Duplicates

NOW_MS = 1_700_000_040_000


class FakeReader:
    """Remembers what it was told; knows no duplicates before the first message."""

    def __init__(self, watermark: int | None = None) -> None:
        self.newest: dict[int, int] = {}
        self._watermark = watermark
        self._known = Duplicates()

    def fresh(
        self, messages: Sequence[Message], counts: NDArray[np.int64], keys: NDArray[np.uint64]
    ) -> Mask | None:
        return self._known.fresh(keys, messages[0].broker_ms, counts)

    def saw(self, partition: int, newest_ms: int) -> None:
        self.newest[partition] = newest_ms

    def watermark_of(self, partition: int) -> int | None:
        return self._watermark


@pytest.fixture
def dofn() -> sources.ReadKafka:
    log = LogSettings("nowhere:1", "events")
    return sources.ReadKafka(sources.ReadSettings(log, allowed_lateness=600, project="p"))


def _json(ts: int, event_id: int | None = None) -> bytes:
    name = "" if event_id is None else f'"id":"018bcfe5-6800-7000-8000-{event_id:012d}",'
    return f'{{{name}"type":"click","user_id":"u","ts":{ts}}}'.encode()


def _read(dofn: sources.ReadKafka, reader: FakeReader, *payloads: bytes) -> list[Any]:
    messages = [
        Message(payload, partition=3, offset=i, broker_ms=NOW_MS)
        for i, payload in enumerate(payloads)
    ]
    found: Iterator[Any] = dofn.read(reader, messages)
    return list(found)


def _totals(outputs: list[Any], tag: str | None = None) -> dict[float, int]:
    totals = {}
    for output in outputs:
        value = output.value if isinstance(output, beam.pvalue.TaggedOutput) else output
        if getattr(output, "tag", None) == tag and value.value[0] == "p":
            totals[float(value.timestamp)] = value.value[1].rows
    return totals


def test_a_poll_becomes_one_cube_per_grouping_set_and_window(dofn: sources.ReadKafka) -> None:
    reader = FakeReader()
    outputs = _read(dofn, reader, _json(NOW_MS), _json(NOW_MS + 15_000), _json(NOW_MS - 1))
    assert _totals(outputs) == {NOW_MS / 1000: 2, NOW_MS / 1000 - 60: 1}
    pulses = _totals(outputs, sources.PULSE)
    assert pulses == {NOW_MS / 1000: 1, NOW_MS / 1000 + 10: 1, NOW_MS / 1000 - 10: 1}
    assert len([o for o in outputs if not isinstance(o, beam.pvalue.TaggedOutput)]) == 16
    assert reader.newest == {3: NOW_MS + 15_000}


def test_bad_messages_go_aside_and_the_rest_counts(dofn: sources.ReadKafka) -> None:
    outputs = _read(dofn, FakeReader(), b"\x00", _json(NOW_MS), b"")
    dead = [o.value for o in outputs if getattr(o, "tag", None) == sources.DEAD]
    assert [(d.reason, d.partition, d.offset) for d in dead] == [
        ("message_undecodable", 3, 0),
        ("message_empty", 3, 2),
    ]
    assert _totals(outputs) == {NOW_MS / 1000: 1}


def test_too_many_dead_letters_fail_the_poll_before_it_counts_anything() -> None:
    log = LogSettings("nowhere:1", "events")
    limit = Limit(0.5, "of this test")
    dofn = sources.ReadKafka(sources.ReadSettings(log, project="p", limit=limit))
    outputs: Any = dofn.read(
        FakeReader(), [Message(b"\x00", offset=i) for i in range(LEAST)] + [Message(_json(NOW_MS))]
    )
    assert [next(outputs).tag for _ in range(LEAST)] == [sources.DEAD] * LEAST
    with pytest.raises(TooManyDead, match="98% of the last 51 messages"):
        next(outputs)


def test_duplicates_are_not_counted(dofn: sources.ReadKafka) -> None:
    reader = FakeReader()
    outputs = _read(dofn, reader, _json(NOW_MS, 1), _json(NOW_MS, 2), _json(NOW_MS, 1))
    assert _totals(outputs) == {NOW_MS / 1000: 2}
    assert _totals(_read(dofn, reader, _json(NOW_MS, 2))) == {}


def test_rows_whose_window_is_closed_for_good_are_left_out(dofn: sources.ReadKafka) -> None:
    reader = FakeReader(watermark=NOW_MS + 660_000)
    outputs = _read(dofn, reader, _json(NOW_MS + 59_999), _json(NOW_MS + 60_000))
    assert _totals(outputs) == {NOW_MS / 1000 + 60: 1}
