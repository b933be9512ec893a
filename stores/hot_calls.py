"""Reads of the hot store as calls on a pipe, so that several go in one round trip. Pure but for it.

Each function puts its calls on the pipe and returns what makes an answer of their replies, which it
takes from an iterator over those of the whole pipe, in the order of asking.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from events import sketch
from stores import layout, recent
from stores.layout import RECORD
from stores.pane import ACTIVE, MEASURES, MINUTE, PULSE, SKETCHED, Grouping
from stores.recent import Entry

Values = tuple[str, ...]
Ints = NDArray[np.int64]
Beats = tuple[int | None, int | None]
Answer = TypeVar("Answer")
Decode = Callable[[Iterator[Any]], Answer]


class LiveSlice(NamedTuple):
    """What a live feed asks of one series. Times are epoch seconds, ends exclusive."""

    project: str
    grouping: Grouping
    values: Values
    first: int  # minutes are read from here to `end`
    start: int  # their completeness from here
    end: int
    pulses: tuple[int, int]
    now: float
    recent: bool = False  # whether the events that came in last are wanted


class LiveRows(NamedTuple):
    """The answer; `active` (users) and `pulses` are None where they are not kept.

    `recent` is oldest first, None where it was not asked for.
    """

    minutes: Ints  # [n, 7]
    status: NDArray[np.uint8]
    active: sketch.Entries | None
    pulses: Ints | None
    job: Beats
    recent: list[Entry] | None


def many(
    pipe: Any,
    project: str,
    grouping: Grouping,
    series: Sequence[Values],
    start: int,
    end: int,
    width: int,
) -> Decode[list[Ints]]:
    """`MEASURES` of each window of several series."""
    days = list(layout.spans(start, end, width))
    prefix = layout.series_prefix(project, width, grouping)
    for values in series:
        for span in days:
            first = span.first * RECORD.itemsize
            last = first + span.length * RECORD.itemsize - 1
            pipe.getrange(f"{prefix}{layout.values_text(values)}:{span.day}", first, last)

    def decode(replies: Iterator[Any]) -> list[Ints]:
        held = [[next(replies) for _ in days] for _ in series]
        parts = [np.zeros((len(series), 0, len(MEASURES)), np.int64)]
        for i, span in enumerate(days):  # all series of a day at once, which costs a third
            size = span.length * RECORD.itemsize
            data = b"".join(of_days[i].ljust(size, b"\x00") for of_days in held)
            rows = layout.unpack(data, len(series) * span.length)
            parts.append(rows.reshape(len(series), span.length, len(MEASURES)))
        return list(np.concatenate(parts, axis=1))

    return decode


def status(pipe: Any, project: str, start: int, end: int) -> Decode[NDArray[np.uint8]]:
    """Completeness of each minute."""
    days = list(layout.spans(start, end, MINUTE))
    for span in days:
        key = layout.status_key(project, span.day)
        pipe.getrange(key, span.first, span.first + span.length - 1)

    def decode(replies: Iterator[Any]) -> NDArray[np.uint8]:
        held = b"".join(next(replies).ljust(span.length, b"\x00") for span in days)
        return np.frombuffer(held, np.uint8)

    return decode


def active(
    pipe: Any, project: str, grouping: Grouping, values: Values, now: float
) -> Decode[sketch.Entries]:
    """Users of the five minutes that end with the minute of `now`, or else of those before."""
    start = int(now) // MINUTE * MINUTE - (ACTIVE - MINUTE)
    prefix = f"{layout.active_prefix(project, grouping)}{layout.values_text(values)}"
    pipe.mget([f"{prefix}:{start}", f"{prefix}:{start - MINUTE}"])

    def decode(replies: Iterator[Any]) -> sketch.Entries:
        for blob in next(replies):
            if blob is not None:
                return sketch.from_blob(blob)
        return np.empty(0, np.uint32)

    return decode


def job(pipe: Any) -> Decode[Beats]:
    """When the job was last alive, and since when a reader is without an answer of the log."""
    pipe.mget([layout.HEARTBEAT, layout.LOST])

    def decode(replies: Iterator[Any]) -> Beats:
        beat, lost = next(replies)
        return None if beat is None else int(beat), None if lost is None else int(lost)

    return decode


def live(pipe: Any, ask: LiveSlice) -> Decode[LiveRows]:
    """Everything that a live feed shows."""
    project, grouping, values = ask.project, ask.grouping, ask.values
    minutes = many(pipe, project, grouping, [values], ask.first, ask.end, MINUTE)
    complete = status(pipe, project, ask.start, ask.end)
    kept = grouping in SKETCHED
    users = active(pipe, project, grouping, values, ask.now) if kept else None
    pulses = many(pipe, project, grouping, [values], *ask.pulses, PULSE) if kept else None
    beats = job(pipe)
    if ask.recent:
        recent.ask(pipe, project)

    def decode(replies: Iterator[Any]) -> LiveRows:
        return LiveRows(
            minutes(replies)[0],
            complete(replies),
            None if users is None else users(replies),
            None if pulses is None else pulses(replies)[0],
            beats(replies),
            recent.decode(next(replies)) if ask.recent else None,
        )

    return decode
