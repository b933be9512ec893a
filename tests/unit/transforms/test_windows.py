"""Panes on the DirectRunner with TestStream: early, on time, late, empty, out of order.

Refresh timers are set by the real clock; the stream's clock is moved far past it, so that each
is due as soon as it is set.
"""

from collections.abc import Iterator
from typing import Any, ClassVar

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.test_stream import TestStream as Steps
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import Timestamp

from events import sketch
from events.sketches import Sketches
from stores.pane import ACTIVE, FINAL, PARTIAL, REVISED, Pane
from tests.unit.transforms.cubes import MINUTE, cube
from transforms import windows
from transforms.cube import UNIT, Cube, canonical, merge

TOTAL = windows.key_of("p", ())
FIRING = windows.Firing(refresh_seconds=2.0, allowed_lateness=600)


class Recorded(beam.DoFn):
    """Panes in the order they came; the DirectRunner runs in this process."""

    panes: ClassVar[list[Pane]] = []

    def process(self, element: Pane) -> Iterator[Any]:
        Recorded.panes.append(element)
        return iter(())


@pytest.fixture(autouse=True)
def _fresh() -> None:
    Recorded.panes.clear()


def run(stream: Steps, panes: beam.PTransform) -> list[Pane]:
    options = PipelineOptions(["--runner=BundleBasedDirectRunner", "--streaming"])
    with beam.Pipeline(options=options) as pipeline:
        _ = (
            pipeline
            | stream
            | beam.Map(lambda pair: pair).with_output_types(tuple[str, Cube])
            | panes
            | beam.ParDo(Recorded())
        )
    return list(Recorded.panes)


def at(second: int, value: Cube, key: str = TOTAL) -> TimestampedValue:
    return TimestampedValue((key, value), Timestamp(MINUTE + second))


def shown(panes: list[Pane]) -> list[tuple[int, int, int]]:
    return [(p.start - MINUTE, int(p.measures[:, 0].sum()), p.status) for p in panes]


def stream() -> Steps:
    return Steps().advance_watermark_to(MINUTE)


def test_early_on_time_and_late_panes_are_absolute() -> None:
    steps = (
        stream()
        .advance_processing_time(1)
        .add_elements([at(0, cube(**{"": 2}))])
        .advance_processing_time(10**10)
        .add_elements([at(5, cube(**{"": 3}))])
        .advance_watermark_to(MINUTE + 60)
        .add_elements([at(7, cube(**{"": 4}))])
        .advance_processing_time(10**10)
        .advance_watermark_to_infinity()
    )
    assert shown(run(steps, windows.minutes(FIRING, streaming=True))) == [
        (0, 2, PARTIAL),
        (0, 5, PARTIAL),
        (0, 5, FINAL),
        (0, 9, REVISED),
    ]


def test_no_pane_without_news() -> None:
    steps = (
        stream()
        .add_elements([at(0, cube(**{"": 2}))])
        .advance_processing_time(10**10)
        .advance_processing_time(10**10)
        .advance_watermark_to(MINUTE + 60)
        .advance_watermark_to(MINUTE + 6000)
        .advance_watermark_to_infinity()
    )
    assert shown(run(steps, windows.minutes(FIRING, streaming=True))) == [
        (0, 2, PARTIAL),
        (0, 2, FINAL),
    ]


def test_a_refresh_after_the_end_says_nothing_twice() -> None:
    steps = (
        stream()
        .add_elements([at(0, cube(**{"": 2}))])
        .advance_watermark_to(MINUTE + 60)
        .advance_processing_time(10**10)
        .advance_watermark_to_infinity()
    )
    assert shown(run(steps, windows.minutes(FIRING, streaming=True))) == [(0, 2, FINAL)]


def test_out_of_order_events_reach_their_own_windows() -> None:
    steps = (
        stream()
        .add_elements([at(70, cube(**{"": 1})), at(10, cube(**{"": 2})), at(65, cube(**{"": 4}))])
        .advance_watermark_to(MINUTE + 200)
        .advance_watermark_to_infinity()
    )
    panes = run(steps, windows.minutes(FIRING, streaming=True))
    assert sorted(shown(panes)) == [(0, 2, FINAL), (60, 5, FINAL)]


def test_a_cap_holds_over_bundles() -> None:
    firing = windows.Firing(2.0, 600, cap=2)
    key = windows.key_of("p", ("country",))
    steps = (
        stream()
        .add_elements([at(0, cube(US=1, DE=1), key)])
        .add_elements([at(1, cube(FR=50, US=1), key)])
        .advance_watermark_to(MINUTE + 60)
        .advance_watermark_to_infinity()
    )
    (pane,) = run(steps, windows.minutes(firing, streaming=True))
    assert pane.series == [("US",), ("DE",)]
    assert pane.measures[:, 0].tolist() == [2, 1]


def test_sliding_windows_union_the_minutes() -> None:
    steps = (
        stream()
        .add_elements([at(0, cube(**{"": 3}))])
        .advance_watermark_to(MINUTE + 60)
        .add_elements([at(60, cube(**{"": 4}))])
        .advance_watermark_to(MINUTE + 1000)
        .advance_watermark_to_infinity()
    )
    panes = run(steps, windows.active(FIRING, streaming=True))
    final = {p.start - MINUTE: p for p in panes if p.status == FINAL}
    assert {p.width for p in panes} == {ACTIVE}
    assert sorted(final) == [-240, -180, -120, -60, 0, 60]
    assert int(final[-60].measures[0, 0]) == 7
    # Both minutes hold the same one user: a union, not a sum.
    assert sketch.estimate(final[-60].sketch) == 1


def test_bounded_and_streaming_end_in_the_same_bytes() -> None:
    parts = [cube(US=3, DE=1), cube(FR=2), cube(DE=4, US=1)]
    key = windows.key_of("p", ("country",))
    steps = stream()
    for second, part in enumerate(parts):
        steps = steps.add_elements([at(second, part, key)])
    steps = steps.advance_watermark_to(MINUTE + 60).advance_watermark_to_infinity()
    last = run(steps, windows.minutes(FIRING, streaming=True))[-1]
    Recorded.panes.clear()
    with beam.Pipeline(options=PipelineOptions(["--runner=BundleBasedDirectRunner"])) as pipeline:
        _ = (
            pipeline
            | beam.Create([at(i, part, key) for i, part in enumerate(parts)])
            | beam.Map(lambda value: value).with_output_types(tuple[str, Cube])
            | windows.minutes(FIRING, streaming=False)
            | beam.ParDo(Recorded())
        )
    (bounded,) = Recorded.panes
    names = [UNIT.join(s) for s in last.series], [UNIT.join(s) for s in bounded.series]
    streamed = Cube(names[0], last.measures, Sketches(last.sketch))
    assert canonical(streamed) == canonical(
        Cube(names[1], bounded.measures, Sketches(bounded.sketch))
    )
    assert canonical(streamed) == canonical(merge(parts))
    assert bounded.status == FINAL
