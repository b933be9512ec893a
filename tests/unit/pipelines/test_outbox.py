"""The outbox: minutes wait for the cold store, and reach it once it is there."""

from collections.abc import Sequence
from typing import ClassVar

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.test_stream import TestStream as Steps
from apache_beam.transforms.window import TimestampedValue

from pipelines import outbox
from stores.contract import ColdStore, StoreUnavailable
from stores.pane import ACTIVE, FINAL, MEASURES, MINUTE, PARTIAL, REVISED, Pane

START = 1_700_000_040
LATER = 10**10


class Shelf:
    """A cold store in this process that may be away for a number of writes."""

    writes: ClassVar[list[list[tuple[str, int, int]]]] = []
    refusals: ClassVar[int] = 0

    def write(self, panes: Sequence[Pane]) -> int:
        if Shelf.refusals:
            Shelf.refusals -= 1
            raise StoreUnavailable("restarts")
        Shelf.writes.append([(p.project, p.start - START, int(p.measures[0, 0])) for p in panes])
        return len(panes)

    def close(self) -> None:
        pass


def connect(url: str) -> ColdStore:
    assert url == "shelf://"
    return Shelf()  # type: ignore[return-value]


@pytest.fixture(autouse=True)
def _empty() -> None:
    Shelf.writes, Shelf.refusals = [], 0


def pane(
    rows: int, status: int = FINAL, start: int = 0, width: int = MINUTE, project: str = "p"
) -> Pane:
    measures = np.zeros((1, len(MEASURES)), np.int64)
    measures[0, 0] = rows
    return Pane(project, (), START + start, width, status, [()], measures)


def run(*steps: Pane | int, streaming: bool = True) -> list[list[tuple[str, int, int]]]:
    """Panes as they come, and moments to which the clock moves."""
    stream = Steps().advance_processing_time(1)
    for step in steps:
        if isinstance(step, Pane):
            stream = stream.add_elements([TimestampedValue(step, step.start)])
        else:
            stream = stream.advance_processing_time(step)
    options = PipelineOptions(["--runner=BundleBasedDirectRunner", "--streaming"])
    with beam.Pipeline(options=options) as pipeline:
        (
            pipeline
            | stream.advance_watermark_to_infinity()
            | outbox.ToCold("shelf://", streaming=streaming, connect=connect)
        )
    return Shelf.writes


def test_minutes_are_gathered_into_one_write() -> None:
    assert run(pane(3), pane(4, start=60), LATER) == [[("p", 0, 3), ("p", 60, 4)]]


def test_open_minutes_and_other_windows_are_no_history() -> None:
    assert run(pane(3, PARTIAL), pane(4, FINAL, width=ACTIVE), LATER) == []


def test_only_the_largest_of_a_minute_is_written() -> None:
    assert run(pane(3), pane(5, REVISED), pane(4, REVISED), LATER) == [[("p", 0, 5)]]


def test_what_is_written_does_not_come_again() -> None:
    assert run(pane(3), LATER, pane(4, REVISED), LATER) == [[("p", 0, 3)], [("p", 0, 4)]]


def test_a_store_that_is_away_gets_everything_when_it_is_back() -> None:
    Shelf.refusals = 2
    written = run(pane(3), LATER, pane(7, start=60), LATER, LATER)
    assert [item for write in written for item in write] == [("p", 0, 3), ("p", 60, 7)]
    assert Shelf.refusals == 0


def test_bounded_input_is_written_at_the_end_of_the_bundle() -> None:
    Shelf.refusals = 1
    dofn = outbox.WriteCold("shelf://", connect)
    dofn.setup()
    dofn.start_bundle()
    dofn.process(pane(3))
    dofn.finish_bundle()
    assert Shelf.writes == [[("p", 0, 3)]]


def test_bounded_input_fails_when_the_store_stays_away() -> None:
    Shelf.refusals = 10**6
    dofn = outbox.WriteCold("shelf://", connect, patience=0.3)
    dofn.setup()
    dofn.start_bundle()
    dofn.process(pane(3))
    with pytest.raises(StoreUnavailable):
        dofn.finish_bundle()


def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "MAX_WAITING", 100)
    with pytest.raises(StoreUnavailable, match="which is the limit"):
        run(pane(3), pane(4, start=60))
