"""Are all numbers right? Every store against the sender's record, number by number.

Of an event without an answer the raw events decide whether it came; then all must be exact. The
cold store has to have minutes that the hot store calls final or revised, and old minutes must be.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from events import sketch
from stores import compare
from stores.contract import HAS_PARTIAL, HOUR, Ints, Reader, Slice, StoreUnavailable, TooMuch, edges
from stores.hot_reads import HotReader
from stores.pane import GROUPING_SETS, MEASURES, MINUTE, SKETCHED, Grouping
from tests.chaos.record import Record, Standing, arrived
from tests.chaos.stores import Stores
from tests.chaos.truth import Truth

PROJECT: Final = "demo"
SEALED_AFTER: Final = 120  # seconds after its end a minute must be final, when all is well
Wanted = NDArray[np.bool_]  # which minutes are compared
_NOBODY: Final = np.empty(0, np.uint32)
_EMPTY: Final = np.zeros(sketch.REGISTERS, np.uint8)
IDS: Final = 20  # event ids in one line


@dataclass(frozen=True)
class Verdict:
    """What differs (lines that stay the same while the difference does), and which minutes."""

    differences: list[str]
    minutes: list[int]  # the minutes that lines are about
    events: int  # that came
    unknown_came: int


def look(stores: Stores, record: Record, start: int, *, all_sealed: bool = False) -> Verdict:
    """Compare everything since `start` once. A store that does not answer is a difference."""
    try:
        return _look(stores, record, start, all_sealed=all_sealed)
    except (StoreUnavailable, TooMuch) as error:
        return Verdict([f"a store does not answer: {error}"], [], 0, 0)


def _look(stores: Stores, record: Record, start: int, *, all_sealed: bool) -> Verdict:
    standing = record.standing()  # before the stores: what they have then, was begun before
    stored = stores.stored(PROJECT)
    truth = Truth(arrived(standing, stored))
    end = int(time.time()) // MINUTE * MINUTE + 2 * MINUTE
    found = list(_ids(record, standing, stored))
    hot = HotReader(stores.hot)
    cuts = edges(start, end, MINUTE)
    bits = hot.completeness(PROJECT, cuts)
    sealed = (bits != 0) & (bits & HAS_PARTIAL == 0)
    lines: list[tuple[int, str]] = []
    lines += _raw(stores.events.minute_counts(PROJECT, start, end), truth, start, end)
    for grouping in GROUPING_SETS:
        true = truth.series(grouping, start, end)
        lines += _counts("hot", hot, grouping, cuts, true, np.ones(len(sealed), np.bool_))
        lines += _counts("cold", stores.cold, grouping, cuts, true, sealed)
    lines += _users("hot", hot, cuts, truth, np.ones(len(sealed), np.bool_))
    lines += _users("cold", stores.cold, cuts, truth, sealed)
    lines += _hours("hot", hot, cuts, truth, sealed)
    lines += _hours("cold", stores.cold, cuts, truth, sealed)
    horizon = end if all_sealed else int(time.time()) - SEALED_AFTER - MINUTE
    for minute in truth.minutes:
        if start <= minute < horizon and not sealed[(minute - start) // MINUTE]:
            lines.append((minute, f"{_clock(minute)} is still partial"))
    if not lines:
        lines += [
            (0, f"stores.compare: {line}")
            for line in compare.differences(hot, stores.cold, PROJECT, start, end)
        ]
    found += [line for _, line in lines]
    minutes = sorted({minute for minute, _ in lines if minute})
    came = sum(event in stored for event in standing.unknown)
    return Verdict(found, minutes, sum(stored.values()), came)


def _ids(record: Record, standing: Standing, stored: Mapping[bytes, int]) -> Iterator[str]:
    yield from (f"answer: {line}" for line in record.complaints())
    missing = [event for event in standing.acknowledged if event not in stored]
    twice = [event for event, copies in stored.items() if copies > 1]
    known = standing.acknowledged.keys() | standing.unknown.keys()
    strange = [event for event in stored if event not in known]
    for what, events in (("acknowledged and lost", missing), ("twice", twice)):
        if events:
            yield f"raw events {what}: {len(events)}: {_names(events)}"
    if strange and (strange := [e for e in strange if e not in record.standing().unknown]):
        yield f"raw events that nobody sent: {len(strange)}: {_names(strange)}"


def _raw(counts: Ints, truth: Truth, start: int, end: int) -> Iterator[tuple[int, str]]:
    true = truth.series((), start, end).get((), np.zeros_like(counts))
    yield from _differing("raw", "total", start, counts, true, np.ones(len(counts), np.bool_))


def _counts(
    name: str,
    store: Reader,
    grouping: Grouping,
    cuts: tuple[int, ...],
    true: Mapping[tuple[str, ...], Ints],
    wanted: Wanted,
) -> Iterator[tuple[int, str]]:
    answer = store.counts(Slice(PROJECT, grouping, cuts, by=grouping))
    said = dict(zip(answer.series, answer.measures, strict=True))
    nothing = np.zeros((len(cuts) - 1, len(MEASURES)), np.int64)
    for values in sorted(said.keys() | true.keys()):
        named = ",".join(f"{d}:{v}" for d, v in zip(grouping, values, strict=True)) or "total"
        mine, other = said.get(values, nothing), true.get(values, nothing)
        yield from _differing(name, named, cuts[0], mine, other, wanted)


def _differing(
    store: str,
    series: str,
    start: int,
    said: Ints,
    true: Ints,
    wanted: Wanted,
) -> Iterator[tuple[int, str]]:
    for step, column in np.argwhere((said != true) & wanted[:, None]).tolist():
        minute = start + step * MINUTE
        numbers = f"{said[step, column]}, true {true[step, column]}"
        yield minute, f"{_clock(minute)} {series} {MEASURES[column]}: {store} {numbers}"


def _users(
    name: str, store: Reader, cuts: tuple[int, ...], truth: Truth, wanted: Wanted
) -> Iterator[tuple[int, str]]:
    """Unions of the total by minute, register by register."""
    said = store.users(Slice(PROJECT, (), cuts))
    true = truth.users((), MINUTE, frozenset(cuts))
    for step in np.flatnonzero(wanted).tolist():
        registers = sketch.registers(said.get(((), step), _NOBODY))
        wrong = int((registers != true.get(((), cuts[step]), _EMPTY)).sum())
        if wrong:
            line = f"{_clock(cuts[step])} total users: {name} has {wrong} registers wrong"
            yield cuts[step], line


def _hours(
    name: str, store: Reader, cuts: tuple[int, ...], truth: Truth, sealed: Wanted
) -> Iterator[tuple[int, str]]:
    """Unions of single dimensions by hour: all users of sealed minutes, and nobody strange."""
    low, high = cuts[0] // HOUR * HOUR, -(-cuts[-1] // HOUR) * HOUR
    hours = edges(low, high, HOUR)
    closed = {minute for minute, done in zip(cuts, sealed.tolist(), strict=False) if done}
    for grouping in SKETCHED[1:]:
        said = store.users(Slice(PROJECT, grouping, hours, by=grouping))
        least, most = (truth.users(grouping, HOUR, some) for some in (closed, frozenset(cuts)))
        for values, step in {(v, hours.index(at)) for v, at in most} | set(said):
            at = hours[step]
            registers = sketch.registers(said.get((values, step), _NOBODY)).astype(np.int64)
            few = int((registers < least.get((values, at), _EMPTY)).sum())
            many = int((registers > most.get((values, at), _EMPTY)).sum())
            if few or many:
                where = f"{_clock(at)} {grouping[0]}:{values[0]} users of the hour"
                yield 0, f"{where}: {name} lacks {few} registers, has {many} too many"


def _clock(minute: int) -> str:
    return time.strftime("%H:%M", time.gmtime(minute))


def _names(events: list[bytes]) -> str:
    more = " …" if len(events) > IDS else ""
    return " ".join(str(UUID(bytes=event)) for event in events[:IDS]) + more
