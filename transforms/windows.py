"""Windows over partial cubes, firing absolute values early, on time and late.

A plain CombinePerKey with early firings keeps every input until the window ends and hands all of
them again to each firing (see DESIGN). So unbounded input uses a small stateful DoFn with ONE
accumulator per (key, window): it fires on a processing-time timer every refresh while there is
something new, on an event-time timer at the window's end, and again after late data. Bounded input
uses CombinePerKey with the same merge; a test shows that both end in the same bytes.
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import apache_beam as beam
from apache_beam.coders import BytesCoder
from apache_beam.metrics import Metrics
from apache_beam.transforms import window
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import ReadModifyWriteStateSpec, TimerSpec, on_timer
from apache_beam.utils.timestamp import Timestamp

from stores.pane import ACTIVE, FINAL, MINUTE, PARTIAL, REVISED, Grouping, Pane
from telemetry import metrics
from transforms import cube as cubes
from transforms.cube import UNIT, Cube

_ARMED: Final = 1  # a refresh timer is set
_CLOSED: Final = 2  # the watermark has passed the window's end


def key_of(project: str, grouping: Grouping) -> str:
    """The key of a grouping set of a project."""
    return UNIT.join((project, *grouping))


def pane_of(key: str, cube: Cube, where: window.IntervalWindow, status: int) -> Pane:
    """The cube of one key and window as a store takes it."""
    project, *grouping = key.split(UNIT)
    start, end = int(where.start), int(where.end)
    series = [tuple(name.split(UNIT)) if grouping else () for name in cube.names]
    return Pane(
        project,
        tuple(grouping),
        start,
        end - start,
        status,
        series,
        cube.measures,
        cube.users.entries,
    )


@dataclass(frozen=True)
class Firing:
    """When windows speak, and how much they may hold. Seconds, but for `cap` (series)."""

    refresh_seconds: float = 2.0
    allowed_lateness: int = 3600
    cap: int = cubes.MAX_SERIES


class Accumulate(beam.DoFn):
    """`(key, Cube)` in a window to `Pane`s of everything that came so far.

    `quiet_seconds` is for sliding windows: no early firing before that much of the window's span
    has begun, so that only the window that is current is written every refresh.
    """

    STATE = ReadModifyWriteStateSpec("cube", BytesCoder())
    REFRESH = TimerSpec("refresh", TimeDomain.REAL_TIME)
    END = TimerSpec("end", TimeDomain.WATERMARK)

    def __init__(self, firing: Firing, quiet_seconds: int = 0) -> None:
        self._firing = firing
        self._quiet = quiet_seconds
        self._left_out = Metrics.counter("cubes", "rows_left_out")  # beyond the cap: `other`

    def process(
        self,
        element: tuple[str, Cube],
        where: Any = beam.DoFn.WindowParam,
        state: Any = beam.DoFn.StateParam(STATE),
        refresh: Any = beam.DoFn.TimerParam(REFRESH),
        end: Any = beam.DoFn.TimerParam(END),
    ) -> None:
        """Add a partial cube and make sure that a timer will speak of it."""
        flags, held = _read(state)
        merged = cubes.merge((held, element[1]), self._firing.cap)
        self._left_out.inc(merged.left_out - held.left_out)
        metrics.JOB_LEFT_OUT.add(max(0, merged.left_out - held.left_out))
        if not flags & _CLOSED:
            end.set(where.end)
        if not flags & _ARMED:
            first = float(where.start) + self._quiet if self._quiet else 0.0
            refresh.set(Timestamp(max(time.time() + self._firing.refresh_seconds, first)))
        _write(state, flags | _ARMED, merged)

    @on_timer(REFRESH)
    def fire(
        self,
        key: Any = beam.DoFn.KeyParam,
        where: Any = beam.DoFn.WindowParam,
        state: Any = beam.DoFn.StateParam(STATE),
    ) -> Iterator[Pane]:
        """An early or a late pane: something came since the last one."""
        flags, held = _read(state)
        if flags & _ARMED:
            _write(state, flags & ~_ARMED, held)
            yield pane_of(key, held, where, REVISED if flags & _CLOSED else PARTIAL)

    @on_timer(END)
    def close(
        self,
        key: Any = beam.DoFn.KeyParam,
        where: Any = beam.DoFn.WindowParam,
        state: Any = beam.DoFn.StateParam(STATE),
    ) -> Iterator[Pane]:
        """The on-time pane."""
        _, held = _read(state)
        if held.names:
            _write(state, _CLOSED, held)  # a refresh timer still set has nothing more to say
            yield pane_of(key, held, where, FINAL)


class ToPane(beam.DoFn):
    """`(key, Cube)` of a finished window to its `Pane`, for bounded input."""

    def process(
        self, element: tuple[str, Cube], where: Any = beam.DoFn.WindowParam
    ) -> Iterable[Pane]:
        """One pane, final."""
        yield pane_of(element[0], element[1], where, FINAL)


class Panes(beam.PTransform):
    """`(key, Cube)` to `Pane` in the windows of `windowing`, streaming or bounded."""

    def __init__(
        self, windowing: Any, firing: Firing, *, streaming: bool, quiet_seconds: int = 0
    ) -> None:
        super().__init__()
        self._windowing = windowing
        self._firing = firing
        self._streaming = streaming
        self._quiet = quiet_seconds

    def expand(self, pcoll: Any) -> Any:
        """Window, then accumulate by timers or combine."""
        if not self._streaming:
            return (
                pcoll
                | "Window" >> beam.WindowInto(self._windowing)  # (key, cube)
                | "Merge" >> beam.CombinePerKey(cubes.CubeCombineFn(self._firing.cap))
                | "Pane" >> beam.ParDo(ToPane())  # pane
            )
        return (
            pcoll
            | "Window"
            >> beam.WindowInto(self._windowing, allowed_lateness=self._firing.allowed_lateness)
            | "Accumulate" >> beam.ParDo(Accumulate(self._firing, self._quiet))  # pane
        )


def minutes(firing: Firing, *, streaming: bool) -> Panes:
    """One-minute windows: the series."""
    return Panes(window.FixedWindows(MINUTE), firing, streaming=streaming)


def pulses(firing: Firing, width: int, *, streaming: bool) -> Panes:
    """Ten-second windows: events per second."""
    return Panes(window.FixedWindows(width), firing, streaming=streaming)


def active(firing: Firing, *, streaming: bool) -> Panes:
    """Five-minute windows every minute, fed by the minutes' sketches: active users."""
    sliding = window.SlidingWindows(ACTIVE, MINUTE)
    return Panes(sliding, firing, streaming=streaming, quiet_seconds=ACTIVE - MINUTE)


def is_sketched(element: tuple[str, Cube]) -> bool:
    """Whether the key is of a grouping set that has sketches: at most one dimension."""
    return element[0].count(UNIT) <= 1


def _read(state: Any) -> tuple[int, Cube]:
    data = state.read()
    return (data[0], cubes.decode(data[1:])) if data else (0, Cube())


def _write(state: Any, flags: int, cube: Cube) -> None:
    state.write(bytes((flags,)) + cubes.encode(cube))
