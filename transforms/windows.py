"""Windows over partial cubes, firing absolute values early, on time and late.

A plain CombinePerKey with early firings keeps every input until the window ends and hands all of
them again to each firing (see DESIGN). So unbounded input uses a small stateful DoFn with ONE
accumulator per (key, window): it fires when something comes after a refresh of silence, else on a
processing-time timer when the refresh is over, on an event-time timer at the window's end, and
again after late data. Bounded input uses CombinePerKey with the same merge; a test shows that both
end in the same bytes.

The sliding windows hold no state of their own: a sketch is a union, and so is what a store does
with it, so a window's users are those of the panes of its minutes.
"""

import struct
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import apache_beam as beam
from apache_beam.coders import BytesCoder
from apache_beam.metrics import Metrics
from apache_beam.transforms import window
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import ReadModifyWriteStateSpec, TimerSpec, on_timer
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import Timestamp

from stores.pane import (
    ACTIVE,
    FINAL,
    KEEP_ACTIVE,
    MINUTE,
    PARTIAL,
    REVISED,
    Grouping,
    Pane,
)
from telemetry import metrics
from transforms import cube as cubes
from transforms.cube import UNIT, Cube

_HEAD: Final = struct.Struct("<Bd")
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

    refresh_seconds: float = 1.0
    allowed_lateness: int = 3600
    cap: int = cubes.MAX_SERIES


class Accumulate(beam.DoFn):
    """`(key, Cube)` in a window to `Pane`s of everything that came so far."""

    STATE = ReadModifyWriteStateSpec("cube", BytesCoder())
    REFRESH = TimerSpec("refresh", TimeDomain.REAL_TIME)
    END = TimerSpec("end", TimeDomain.WATERMARK)

    def __init__(self, firing: Firing, clock: Callable[[], float] = time.time) -> None:
        self._firing = firing
        self._clock = clock
        self._left_out = Metrics.counter("cubes", "rows_left_out")  # beyond the cap: `other`

    def process(
        self,
        element: tuple[str, Cube],
        where: Any = beam.DoFn.WindowParam,
        state: Any = beam.DoFn.StateParam(STATE),
        refresh: Any = beam.DoFn.TimerParam(REFRESH),
        end: Any = beam.DoFn.TimerParam(END),
    ) -> Iterator[Any]:
        """Add a partial cube, and speak of it now or make sure that a timer will."""
        flags, fired, held = _read(state)
        merged = cubes.merge((held, element[1]), self._firing.cap)
        self._left_out.inc(merged.left_out - held.left_out)
        metrics.JOB_LEFT_OUT.add(max(0, merged.left_out - held.left_out))
        if not held.names and not flags & _CLOSED:
            end.set(where.end)
        if not flags & _ARMED:
            now, every = self._clock(), self._firing.refresh_seconds
            due = fired + every
            # A clock that was set back does not silence a window.
            if now < due < now + 2 * every:
                flags |= _ARMED
                refresh.set(Timestamp(due))
            else:
                fired = now
                yield _spoken(element[0], merged, where, flags)
        _write(state, flags, fired, merged)

    @on_timer(REFRESH)
    def fire(
        self,
        key: Any = beam.DoFn.KeyParam,
        where: Any = beam.DoFn.WindowParam,
        state: Any = beam.DoFn.StateParam(STATE),
    ) -> Iterator[Any]:
        """An early or a late pane: something came since the last one."""
        flags, _, held = _read(state)
        if flags & _ARMED:
            _write(state, flags & ~_ARMED, self._clock(), held)
            yield _spoken(key, held, where, flags)

    @on_timer(END)
    def close(
        self,
        key: Any = beam.DoFn.KeyParam,
        where: Any = beam.DoFn.WindowParam,
        state: Any = beam.DoFn.StateParam(STATE),
    ) -> Iterator[Any]:
        """The on-time pane."""
        _, _, held = _read(state)
        if held.names:
            # A refresh timer still set has nothing more to say.
            _write(state, _CLOSED, self._clock(), held)
            yield _at_start(pane_of(key, held, where, FINAL))


class ToPane(beam.DoFn):
    """`(key, Cube)` of a finished window to its `Pane`, for bounded input."""

    def process(
        self, element: tuple[str, Cube], where: Any = beam.DoFn.WindowParam
    ) -> Iterable[Any]:
        """One pane, final."""
        yield _at_start(pane_of(element[0], element[1], where, FINAL))


class Panes(beam.PTransform):
    """`(key, Cube)` to `Pane` in the windows of `windowing`, streaming or bounded."""

    def __init__(self, windowing: Any, firing: Firing, *, streaming: bool) -> None:
        super().__init__()
        self._windowing = windowing
        self._firing = firing
        self._streaming = streaming

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
            | "Accumulate" >> beam.ParDo(Accumulate(self._firing))  # pane
        )


class Recent(beam.DoFn):
    """A minute's `Pane` in a sliding window to what it adds to that window.

    An early pane comes again, so it goes to no more windows than will be looked at before the
    minute is final; the final one goes to all of them. What nobody can look at any more is left
    out, as when the log of days is read again.
    """

    def __init__(self, final_within: int, clock: Callable[[], float] = time.time) -> None:
        self._early = MINUTE + -(-final_within // MINUTE) * MINUTE
        self._clock = clock

    def process(self, element: Pane, where: Any = beam.DoFn.WindowParam) -> Iterator[Pane]:
        """One pane of width ACTIVE, or nothing."""
        start, end = int(where.start), int(where.end)
        awaited = element.status != PARTIAL or end <= element.start + self._early
        if awaited and end + KEEP_ACTIVE > self._clock():
            yield replace(element, start=start, width=ACTIVE, minute=element.start)


class Active(beam.PTransform):
    """The minutes' `Pane`s to those of five-minute windows every minute: active users."""

    def __init__(self, final_within: int, clock: Callable[[], float] = time.time) -> None:
        super().__init__()
        self._recent = Recent(final_within, clock)

    def expand(self, pcoll: Any) -> Any:
        """Each minute's users to its five windows."""
        return (
            pcoll
            | "Sketched" >> beam.Filter(_is_sketched)  # pane
            | "Window" >> beam.WindowInto(window.SlidingWindows(ACTIVE, MINUTE))
            | "Recent" >> beam.ParDo(self._recent)  # pane
        )


def minutes(firing: Firing, *, streaming: bool) -> Panes:
    """One-minute windows: the series."""
    return Panes(window.FixedWindows(MINUTE), firing, streaming=streaming)


def pulses(firing: Firing, width: int, *, streaming: bool) -> Panes:
    """Ten-second windows: events per second."""
    return Panes(window.FixedWindows(width), firing, streaming=streaming)


def _is_sketched(pane: Pane) -> bool:
    return len(pane.sketch) > 0


def _at_start(pane: Pane) -> TimestampedValue:
    """A pane with its window's start for its time, whenever it is said."""
    return TimestampedValue(pane, pane.start)


def _spoken(key: str, cube: Cube, where: Any, flags: int) -> TimestampedValue:
    return _at_start(pane_of(key, cube, where, REVISED if flags & _CLOSED else PARTIAL))


def _read(state: Any) -> tuple[int, float, Cube]:
    """Flags, when it spoke last (unix seconds), and what came so far."""
    data = state.read()
    if not data:
        return 0, 0.0, Cube()
    flags, fired = _HEAD.unpack_from(data)
    return flags, fired, cubes.decode(data[_HEAD.size :])


def _write(state: Any, flags: int, fired: float, cube: Cube) -> None:
    state.write(_HEAD.pack(flags, fired) + cubes.encode(cube))
