"""Panes on the DirectRunner with TestStream: early, on time, late, empty, out of order.

Refresh timers are set by the real clock, and a test takes less than a refresh of it; the stream's
clock is moved far past it, so that each is due as soon as it is set.
"""

from collections.abc import Iterator
from typing import Any, ClassVar

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.test_stream import TestStream as Steps
from apache_beam.transforms.window import IntervalWindow, TimestampedValue
from apache_beam.utils.timestamp import Timestamp

from events import sketch
from events.sketches import Sketches
from stores.pane import ACTIVE, FINAL, KEEP_ACTIVE, PARTIAL, REVISED, Pane
from tests.unit.transforms.cubes import MINUTE, cube
from transforms import windows
from transforms.cube import UNIT, Cube, canonical, merge

TOTAL = windows.key_of("p", ())
COUNTRY = windows.key_of("p", ("country",))
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
        .add_elements([at(5, cube(**{"": 3}))])
        .advance_watermark_to(MINUTE + 60)
        .advance_processing_time(10**10)
        .advance_watermark_to_infinity()
    )
    assert shown(run(steps, windows.minutes(FIRING, streaming=True))) == [
        (0, 2, PARTIAL),
        (0, 5, FINAL),
    ]


def test_what_comes_after_a_refresh_of_silence_is_said_at_once() -> None:
    firing = windows.Firing(refresh_seconds=1e-9, allowed_lateness=600)
    steps = (
        stream()
        .add_elements([at(0, cube(**{"": 2}))])
        .add_elements([at(5, cube(**{"": 3}))])
        .advance_watermark_to(MINUTE + 60)
        .add_elements([at(7, cube(**{"": 4}))])
        .advance_watermark_to_infinity()
    )
    assert shown(run(steps, windows.minutes(firing, streaming=True))) == [
        (0, 2, PARTIAL),
        (0, 5, PARTIAL),
        (0, 5, FINAL),
        (0, 9, REVISED),
    ]


def test_a_clock_that_was_set_back_silences_nothing() -> None:
    class State:
        data = b""

        def read(self) -> bytes:
            return self.data

        def write(self, data: bytes) -> None:
            self.data = data

    class Timer:
        def set(self, at: Timestamp) -> None:
            due.append(float(at))

    due: list[float] = []
    clock = iter([1000.0, 10.0, 11.0])
    spoken = windows.Accumulate(FIRING, lambda: next(clock))
    where, state = IntervalWindow(MINUTE, MINUTE + 60), State()
    said = [
        [
            pane.value.rows
            for pane in spoken.process((COUNTRY, cube(US=1)), where, state, Timer(), Timer())
        ]
        for _ in range(3)
    ]
    assert said == [[1], [2], []]
    assert due == [MINUTE + 60, 12.0]


def test_out_of_order_events_reach_their_own_windows() -> None:
    steps = (
        stream()
        .add_elements([at(70, cube(**{"": 1})), at(10, cube(**{"": 2})), at(65, cube(**{"": 4}))])
        .advance_watermark_to(MINUTE + 200)
        .advance_watermark_to_infinity()
    )
    panes = run(steps, windows.minutes(FIRING, streaming=True))
    final = [pane for pane in panes if pane.status == FINAL]
    assert sorted(shown(final)) == [(0, 2, FINAL), (60, 5, FINAL)]


def test_a_cap_holds_over_bundles() -> None:
    firing = windows.Firing(2.0, 600, cap=2)
    steps = (
        stream()
        .add_elements([at(0, cube(US=1, DE=1), COUNTRY)])
        .add_elements([at(1, cube(FR=50, US=1), COUNTRY)])
        .advance_watermark_to(MINUTE + 60)
        .advance_watermark_to_infinity()
    )
    pane = run(steps, windows.minutes(firing, streaming=True))[-1]
    assert pane.series == [("US",), ("DE",)]
    assert pane.measures[:, 0].tolist() == [2, 1]


def active(steps: Steps, now: float, key: str = TOTAL) -> list[Pane]:
    """Panes of the sliding windows, as what comes in a minute makes them."""

    class Both(beam.PTransform):
        def expand(self, pcoll: Any) -> Any:
            minutes = pcoll | windows.minutes(FIRING, streaming=True)
            return minutes | windows.Active(15, lambda: now)

    return run(steps, Both())


def test_sliding_windows_union_the_minutes() -> None:
    steps = (
        stream()
        .add_elements([at(0, cube(US=3), COUNTRY)])
        .advance_watermark_to(MINUTE + 60)
        .add_elements([at(60, cube(US=4, DE=1), COUNTRY)])
        .advance_watermark_to(MINUTE + 1000)
        .advance_watermark_to_infinity()
    )
    panes = active(steps, MINUTE)
    assert {pane.width for pane in panes} == {ACTIVE}
    users: dict[int, dict[tuple[str, ...], sketch.Entries]] = {}
    for pane in panes:
        if pane.status == FINAL:
            held = users.setdefault(pane.start - MINUTE, {})
            parts = sketch.split(pane.sketch, len(pane.series))
            for series, entries in zip(pane.series, parts, strict=True):
                held[series] = sketch.merge([held.get(series, entries), entries])
    counts = {
        start: [sketch.estimate(entries) for entries in held.values()]
        for start, held in users.items()
    }
    assert counts == {-240: [1], -180: [1, 1], -120: [1, 1], -60: [1, 1], 0: [1, 1], 60: [1, 1]}


def test_an_early_minute_goes_where_it_is_looked_for_before_it_is_final() -> None:
    steps = stream().add_elements([at(0, cube(**{"": 3}))]).advance_watermark_to_infinity()
    panes = active(steps, MINUTE)
    places = {
        status: [p.start - MINUTE for p in panes if p.status == status]
        for status in (PARTIAL, FINAL)
    }
    assert sorted(places[PARTIAL]) == [-240, -180]
    assert sorted(places[FINAL]) == [-240, -180, -120, -60, 0]
    assert {p.minute for p in panes} == {MINUTE}


def test_windows_that_nobody_can_look_at_are_left_out() -> None:
    steps = stream().add_elements([at(0, cube(**{"": 3}))]).advance_watermark_to_infinity()
    panes = active(steps, MINUTE + 60 + 120 + KEEP_ACTIVE)
    assert sorted(p.start - MINUTE for p in panes) == [-60, 0]


def test_bounded_and_streaming_end_in_the_same_bytes() -> None:
    parts = [cube(US=3, DE=1), cube(FR=2), cube(DE=4, US=1)]
    key = COUNTRY
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
