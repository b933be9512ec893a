"""Counts some minutes again from the log, beside the running job: for messages that were dead.

A message that could not be decoded stays where it is, and is never produced a second time: a copy
would be counted twice by every job that reads the log again with the fix, which is how a job
recovers. Instead the minutes it belongs to are counted anew from the log, by the code that the job
runs (`sources.ReadKafka.read`), with the same rules for duplicates and late events; and written as
absolute values, of which the larger count wins. So it may be done twice, killed at any point, or
done by the job itself meanwhile: the numbers are the same.

It is right for minutes whose windows are closed for good. An open window is the job's own: it would
write its smaller count plus one, and lose.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Final

import apache_beam as beam
import numpy as np
from apache_beam.transforms import window
from numpy.typing import NDArray

from events import limits
from pipelines import sources
from pipelines.log_reader import LogSettings, read_range
from pipelines.raw import StoreEvents
from stores import ledger
from stores.contract import StoreUnavailable
from stores.pane import MINUTE, REVISED, Pane
from transforms import cube as cubes
from transforms.cube import UNIT, Cube
from transforms.decode import Mask, Message
from transforms.duplicates import HORIZON_MS, Duplicates
from transforms.windows import pane_of

POLL: Final = 500  # messages that are counted together
PARTS: Final = 32  # cubes of one key that wait to be merged
SETTLED_MS: Final = 600_000  # a message comes within this of its receipt
HISTORY_MS: Final = 2 * HORIZON_MS  # read before, to know what repeats
Place = tuple[int, int]  # partition, offset
Minute = tuple[str, int]  # project, epoch seconds


@dataclass
class Wanted:
    """What is to be counted again."""

    minutes: set[Minute] = field(default_factory=set)  # of events
    receipts: set[Minute] = field(default_factory=set)  # of the ledger
    places: set[Place] = field(default_factory=set)  # of messages, for raw events

    def add(self, other: "Wanted") -> None:
        """That too."""
        self.minutes |= other.minutes
        self.receipts |= other.receipts
        self.places |= other.places

    def since_ms(self) -> int:
        """Broker time from which on the log can hold any of it."""
        return since_ms(start for _, start in self.minutes | self.receipts)


def since_ms(minutes: Iterable[int]) -> int:
    """Broker time before which no message holds an event of these minutes."""
    return min(minutes) * 1000 - limits.MAX_AHEAD_MS


class Stretch:
    """One partition's part of the log, read once: what `ReadKafka.read` asks of a `LogReader`.

    The watermark follows the broker's clock where a reader's follows its own: as it was for a job
    that kept up with the log.
    """

    def __init__(self, settings: LogSettings, places: set[Place]) -> None:
        self._settings = settings
        self._places = places
        self._duplicates = Duplicates()
        self._mark: int | None = None
        self._clock = 0  # broker ms of the latest message
        self.masks: dict[Place, list[Mask | None]] = defaultdict(list)  # in the order of projects

    def fresh(
        self, messages: Sequence[Message], counts: NDArray[np.int64], keys: NDArray[np.uint64]
    ) -> Mask | None:
        """See `LogReader`; remembered for the messages that are wanted."""
        found = self._duplicates.fresh(keys, messages[0].broker_ms, counts)
        ends = np.cumsum(counts)
        for message, low, high in zip(messages, ends - counts, ends, strict=True):
            place = (message.partition, message.offset)
            if place in self._places:
                self.masks[place].append(None if found is None else found[low:high])
        return found

    def saw(self, partition: int, newest_ms: int) -> None:
        """See `LogReader`."""
        mark = min(newest_ms, self._clock) - self._settings.out_of_orderness * 1000
        self._mark = mark if self._mark is None else max(mark, self._mark)

    def watermark_of(self, partition: int) -> int | None:
        """See `LogReader`."""
        return self._mark

    def tick(self, messages: Sequence[Message]) -> None:
        """These come next. A partition that was idle before followed the clock meanwhile."""
        first, last = messages[0].broker_ms, messages[-1].broker_ms
        if self._clock and first - self._clock > (self._settings.idle_seconds + 1) * 1000:
            self._clock = first
            self.saw(messages[0].partition, first)
        self._clock = max(self._clock, last)


class _Known:
    """Answers about duplicates that were given before, for the raw events of the same messages."""

    def __init__(self, masks: Mapping[Place, list[Mask | None]]) -> None:
        self._masks = {place: iter(given) for place, given in masks.items()}

    def fresh(
        self, messages: Sequence[Message], counts: NDArray[np.int64], keys: NDArray[np.uint64]
    ) -> Mask | None:
        if not len(keys):  # nobody asks about a batch without rows
            return None
        return next(self._masks[messages[0].partition, messages[0].offset])


@dataclass
class Recount:
    """The numbers of the wanted minutes, as panes: nothing of them is written yet."""

    panes: list[Pane]
    messages: int  # that were read

    def rows(self) -> dict[Minute, int]:
        """All rows of each minute of events."""
        return {(p.project, p.start): p.rows for p in self.panes if not p.grouping}


def recount(
    settings: sources.ReadSettings, wanted: Wanted, ends: Mapping[int, int], raw: StoreEvents | None
) -> Recount:
    """Read each partition up to its end (or until nothing wanted can come) and count.

    Raw rows of the wanted messages go to `raw` on the way, for they may be many; each has its place
    there. Raises BrokerError and StoreUnavailable.
    """
    reader = sources.ReadKafka(settings)
    sums: dict[tuple[str, int], list[Cube]] = defaultdict(list)
    found = Recount([], 0)
    for partition, end in sorted(ends.items()):
        stretch = Stretch(settings.log, wanted.places)
        for messages in _polls(settings, partition, wanted, end, stretch):
            found.messages += len(messages)
            stretch.tick(messages)
            for output in reader.read(stretch, messages):
                part = _wanted(output, wanted)
                if part is not None:
                    _add(sums[part[0]], part[1], settings.cap)
            mine = [m for m in messages if (m.partition, m.offset) in wanted.places]
            rows = [] if raw is None else raw.batches(_Known(stretch.masks), mine)
            if raw is not None and not raw.write(rows):
                raise StoreUnavailable("the store of raw events is away")
            stretch.masks.clear()
    for (key, start), parts in sums.items():
        where = window.IntervalWindow(start, start + MINUTE)
        found.panes.append(pane_of(key, cubes.merge(parts, settings.cap), where, REVISED))
    return found


def _polls(
    settings: sources.ReadSettings, partition: int, wanted: Wanted, end: int, stretch: Stretch
) -> Iterator[list[Message]]:
    """Messages of a partition, in portions, from before the first that matters to the last."""
    log, late = settings.log, settings.allowed_lateness * 1000
    closed = max((start + MINUTE for _, start in wanted.minutes), default=0) * 1000 + late
    settled = max((start + MINUTE for _, start in wanted.receipts), default=0) * 1000 + SETTLED_MS
    since = max(0, wanted.since_ms() - HISTORY_MS)
    held: list[Message] = []
    with closing(read_range(log, partition, since_ms=since, before=end)) as messages:
        for message in messages:
            if held and (
                len(held) == POLL
                or message.broker_ms > held[0].broker_ms + settings.poll_seconds * 1000
            ):
                yield held
                held = []
                mark = stretch.watermark_of(partition)
                if mark is not None and mark >= closed and message.broker_ms >= settled:
                    return
            held.append(message)
    if held:
        yield held


def _wanted(output: Any, wanted: Wanted) -> tuple[tuple[str, int], Cube] | None:
    """`((key, minute), cube)` of an output of the reader that is asked for."""
    among = wanted.minutes
    if isinstance(output, beam.pvalue.TaggedOutput):
        if output.tag != sources.LEDGER:
            return None
        output, among = output.value, wanted.receipts
    key, cube = output.value
    start = int(output.timestamp)
    return ((key, start), cube) if (key.split(UNIT)[0], start) in among else None


def _add(parts: list[Cube], cube: Cube, cap: int) -> None:
    parts.append(cube)
    if len(parts) > PARTS:
        parts[:] = [cubes.merge(parts, cap)]


def is_ledger(pane: Pane) -> bool:
    """Whether a pane is the ledger's, which history does not keep."""
    return pane.grouping == ledger.GROUPING


def beginning(settings: LogSettings, partitions: Mapping[int, tuple[int, int]]) -> int:
    """Broker time in ms from which on every partition's log is whole; 0: nothing was deleted.

    `partitions`: first and next offset of each.
    """
    begins = 0
    for partition, (low, high) in partitions.items():
        if low == 0:
            continue
        if low == high:
            return 1 << 62  # all of it is gone
        messages = read_range(settings, partition, since_ms=0, before=high)
        with closing(messages) as found:
            begins = max(begins, next(iter(found)).broker_ms)
    return begins
