"""Where rows come from: Kafka without end, or NDJSON files for backfill and tests.

Both read, decode and pre-aggregate in one Python stage, so payloads never cross to the runner;
what leaves is one partial cube per (project, grouping set, window) and bundle.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from threading import Lock
from typing import Any, Final, Protocol

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.io.watermark_estimators import ManualWatermarkEstimator
from apache_beam.transforms.core import RestrictionProvider
from apache_beam.transforms.window import TimestampedValue
from apache_beam.typehints import KV
from apache_beam.utils.timestamp import Duration, Timestamp
from numpy.typing import NDArray

from pipelines import breaker, watch
from pipelines.breaker import OFF, Limit
from pipelines.log_reader import LogReader, LogSettings, offsets_at, partitions_of
from pipelines.offsets import OffsetsTracker, Restriction, RestrictionCoder
from stores.pane import MINUTE
from telemetry import garbage, metrics
from telemetry.endpoint import NOWHERE, Endpoint
from transforms.aggregate import Cells
from transforms.cube import Cube
from transforms.decode import Decoded, Mask, Message, decode
from transforms.gather import Gathered, kept
from transforms.outcomes import Death, death, deaths, outcomes, tally
from transforms.portions import Part, portions
from transforms.windows import key_of

# Tagged outputs; the main one is minute cubes.
PULSE: Final = "pulse"
DEAD: Final = "dead"
PROGRESS: Final = "progress"
LEDGER: Final = "ledger"


@dataclass(frozen=True)
class ReadSettings:
    """What a reader needs to know; travels with the pipeline."""

    log: LogSettings
    start_ms: int = 0  # broker time to start from without restored state
    poll_seconds: float = 0.25
    allowed_lateness: int = 3600
    cap: int = 1000
    currency: str = "USD"
    project: str | None = None
    shown: Endpoint = NOWHERE  # of the process's metrics
    limit: Limit = OFF  # of dead letters

    def decode(self, message: Message, *, hot_only: bool = True) -> Decoded:
        """One message, as this job reads it."""
        return decode(self.named(message), self.currency, hot_only=hot_only)

    def named(self, message: Message) -> Message:
        """Of this job's project, when it names none."""
        if message.project is None and self.project is not None:
            return message._replace(project=self.project)
        return message


@dataclass(frozen=True)
class Progress:
    """A reader's word that it is alive, once a bundle.

    `since_ms`: broker time from which on everything is read, said by a reader whose watermark is
    not yet known because it started without restored state. `lost_since`: unix seconds since when
    the broker does not answer.
    """

    partitions: tuple[int, ...]
    watermark_ms: int | None
    messages: int
    since_ms: int | None = None
    lost_since: float | None = None


class Repeats(Protocol):
    """Knows what was seen before."""

    def fresh(
        self, messages: Sequence[Message], counts: NDArray[np.int64], keys: NDArray[np.uint64]
    ) -> Mask | None:
        """Which rows are no duplicates (None: all); `counts` of them are of each message.

        The messages are of one partition and generation, in their order; one with rows of several
        projects is there once for each.
        """
        ...


class Partitions(Repeats, Protocol):
    """What counting needs to know of what it reads: a `LogReader`, or a stretch of the log."""

    def saw(self, partition: int, newest_ms: int) -> None:
        """An event time was seen."""
        ...

    def watermark_of(self, partition: int) -> int | None:
        """The partition's own watermark in ms, or None before anything is known."""
        ...


def cubes_of(rows: pa.Table, project: str, cap: int) -> Iterator[Any]:
    """All outputs for the rows of one project: minute cubes, then tagged pulse cubes."""
    cells = Cells(rows)
    for part in cells.minutes(cap):
        yield TimestampedValue((key_of(project, part.grouping), part.cube), part.start)
    for part in cells.pulses(cap):
        value = TimestampedValue((key_of(project, part.grouping), part.cube), part.start)
        yield beam.pvalue.TaggedOutput(PULSE, value)


def _fresh(reader: Repeats, parts: Sequence[Part]) -> Iterator[Mask | None]:
    """Which rows of each part are no duplicates (None: all)."""
    if not parts:
        return
    messages = [message for part in parts for message in part.messages]
    counts = np.concatenate([part.counts for part in parts])
    keys = np.concatenate([part.rows.column("dedup_key").to_numpy() for part in parts])
    fresh = reader.fresh(messages, counts, keys)
    end = 0
    for part in parts:
        begin, end = end, end + part.rows.num_rows
        yield None if fresh is None else fresh[begin:end]


class _Readers:
    """Open readers of this process, waiting for their next bundle."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._idle: dict[tuple[ReadSettings, tuple[int, ...]], LogReader] = {}

    def take(self, settings: ReadSettings, partitions: tuple[int, ...]) -> LogReader:
        """A reader for these partitions, the one used before when it is there."""
        with self._lock:
            reader = self._idle.pop((settings, partitions), None)
        return reader or LogReader(settings.log, partitions, settings.decode)

    def give(self, settings: ReadSettings, reader: LogReader) -> None:
        """Keep the reader for the next bundle."""
        with self._lock:
            other = self._idle.pop((settings, reader.partitions), None)
            self._idle[settings, reader.partitions] = reader
        if other is not None:
            other.close()


_readers: Final = _Readers()


@contextmanager
def reading(settings: ReadSettings, partitions: tuple[int, ...]) -> Iterator[LogReader]:
    """A reader for one bundle, the one of the bundle before when it is there."""
    reader = _readers.take(settings, tuple(partitions))
    try:
        yield reader
    finally:
        _readers.give(settings, reader)


def shares(partitions: list[int], readers: int) -> list[tuple[int, ...]]:
    """Every reader's partitions: every n-th."""
    return [share for i in range(readers) if (share := tuple(partitions[i::readers]))]


class ReadKafka(beam.DoFn, RestrictionProvider):
    """Partitions to minute cubes; pulse cubes, dead letters and progress on the side.

    A splittable DoFn whose restriction is the next offset of each partition. One bundle is one
    poll, claimed whole and emitted as cubes; the rest is handed back, because outputs leave at the
    end of a bundle.
    """

    def __init__(self, settings: ReadSettings, tally: watch.Tally | None = None) -> None:
        self._settings = settings
        self._tally = tally or watch.Tally()

    def setup(self) -> None:
        """Show this process's metrics."""
        self._settings.shown.open()
        garbage.seldom()

    def read(self, reader: Partitions, messages: list[Message]) -> Iterator[Any]:
        """Everything that one poll gives. Raises `breaker.TooManyDead`, and the bundle fails."""
        limit = breaker.of(self._settings.limit)
        died: Counter[Death] = Counter()
        gathered: defaultdict[str, Gathered] = defaultdict(Gathered)
        newest: dict[int, int] = {}
        found = portions(map(self._settings.named, messages), self._settings.currency)
        for (at, _), stretch in groupby(found, lambda portion: portion.stretch):
            parts: list[Part] = []
            for portion in stretch:
                limit.note(portion.decoded, portion.messages)
                for letter in portion.decoded.dead:
                    self._tally.dead(letter.reason)
                    if (where := death(letter)) is not None:
                        died[where] += letter.rows
                    yield beam.pvalue.TaggedOutput(DEAD, letter)
                parts += portion.parts()
            for part, fresh in zip(parts, _fresh(reader, parts), strict=True):
                times = part.rows.column("event_time").to_numpy()
                newest[at] = max(newest.get(at, 0), int(times.max()))
                gathered[part.project].add(part.rows, fresh, self._late(reader, at, times))
        limit.check()
        ledger = list(deaths(died))
        for project, mine in gathered.items():
            rows, fresh, late = mine.rows, mine.fresh, mine.late
            became = tally(rows, fresh, late)
            self._tally.rows(became.values())
            ledger += [(project, page) for page in outcomes(became)]
            counting = kept(rows, fresh, late)
            if counting.num_rows:
                yield from cubes_of(counting, project, self._settings.cap)
        for project, page in ledger:
            value = TimestampedValue((key_of(project, page.grouping), page.cube), page.start)
            yield beam.pvalue.TaggedOutput(LEDGER, value)
        for partition, time_ms in newest.items():
            reader.saw(partition, time_ms)

    def decode(self, message: Message) -> Decoded:
        """One message, to all columns."""
        return self._settings.decode(message, hot_only=False)

    def _late(
        self, reader: Partitions, partition: int, times: NDArray[np.int64]
    ) -> NDArray[np.bool_] | None:
        """Which rows came too late (None: none)."""
        mark = reader.watermark_of(partition)
        if mark is None:
            return None
        # The runner would drop these rows in silence: their window is closed for good. Windows
        # that end by `mark - lateness` are closed: their events are before the last whole minute.
        width = MINUTE * 1000
        closed = (mark - self._settings.allowed_lateness * 1000) // width * width
        return times < closed if int(times.min()) < closed else None

    def initial_restriction(self, element: tuple[int, ...]) -> Restriction:
        """Offsets by broker time; never committed ones."""
        return offsets_at(self._settings.log, element, self._settings.start_ms), None

    def create_tracker(self, restriction: Restriction) -> OffsetsTracker:
        """See `OffsetsTracker`."""
        return OffsetsTracker(restriction)

    def restriction_size(self, element: tuple[int, ...], restriction: Restriction) -> float:
        """All readers weigh alike."""
        return 1.0

    def restriction_coder(self) -> RestrictionCoder:
        """JSON."""
        return RestrictionCoder()

    def truncate(self, element: tuple[int, ...], restriction: Restriction) -> None:
        """A drained job reads no more."""

    @beam.DoFn.unbounded_per_element()
    def process(
        self,
        element: tuple[int, ...],
        tracker: Any = beam.DoFn.RestrictionParam(),
        watermark: Any = beam.DoFn.WatermarkEstimatorParam(
            ManualWatermarkEstimator.default_provider()
        ),
    ) -> Iterator[Any]:
        """One bundle: poll, claim, emit, hand the rest back."""
        settings = self._settings
        offsets, _ = tracker.current_restriction()
        known = watermark.current_watermark()
        with reading(settings, element) as reader:
            reader.seek(offsets, None if known is None else known.micros // 1000)
            messages = reader.poll(settings.poll_seconds)
            if tracker.try_claim(dict(reader.position)):
                self._tally.messages(len(messages))
                yield from self.read(reader, messages)
                mark = reader.watermark()
                watch.note(reader, "numbers")
                if mark is not None and (known is None or mark * 1000 > known.micros):
                    watermark.set_watermark(Timestamp(micros=mark * 1000))
                since = settings.start_ms if known is None else None
                progress = Progress(
                    reader.partitions, mark, len(messages), since, reader.lost_since
                )
                yield beam.pvalue.TaggedOutput(PROGRESS, progress)
                tracker.defer_remainder(Duration(0))


class KafkaRows(beam.PTransform):
    """All partitions of the topic, shared among `readers`; outputs of `ReadKafka`."""

    def __init__(self, settings: ReadSettings, readers: int) -> None:
        super().__init__()
        self._settings = settings
        self._readers = readers

    def expand(self, begin: Any) -> Any:
        """One element per reader, each with every n-th partition."""
        mine = shares(partitions_of(self._settings.log), self._readers)
        rows = (
            begin
            | "Partitions" >> beam.Create(mine, reshuffle=False)
            | "Read"
            >> beam.ParDo(ReadKafka(self._settings)).with_outputs(
                PULSE, DEAD, PROGRESS, LEDGER, main="minutes"
            )
        )
        rows[LEDGER].element_type = KV[str, Cube]
        return _typed(rows)


class AggregateLines(beam.DoFn):
    """Lists of JSON lines to the outputs of `ReadKafka`, without progress."""

    def __init__(self, settings: ReadSettings) -> None:
        self._settings = settings

    def setup(self) -> None:
        """Show this process's metrics."""
        self._settings.shown.open()

    def process(self, element: list[str]) -> Iterator[Any]:
        """One list of lines, aggregated as one poll is."""
        payload = "\n".join(element).encode()
        message = Message(payload, project=self._settings.project, topic="file")
        decoded = decode(message, self._settings.currency)
        for letter in decoded.dead:
            metrics.JOB_DEAD.inc(letter.reason)
            yield beam.pvalue.TaggedOutput(DEAD, letter)
        for project, rows in decoded.rows.items():
            metrics.JOB_ROWS.add(rows.num_rows, "numbers")
            yield from cubes_of(pa.Table.from_batches([rows]), project, self._settings.cap)


class FileRows(beam.PTransform):
    """NDJSON files (gz too) by glob; outputs of `AggregateLines`. Bounded."""

    def __init__(self, pattern: str, settings: ReadSettings) -> None:
        super().__init__()
        self._pattern = pattern
        self._settings = settings

    def expand(self, begin: Any) -> Any:
        """Lines, gathered into lists, so that the element is a batch here too."""
        rows = (
            begin
            | "Lines" >> beam.io.ReadFromText(self._pattern)  # one JSON text
            | "Batch" >> beam.BatchElements(min_batch_size=1_000, max_batch_size=20_000)
            | "Aggregate"
            >> beam.ParDo(AggregateLines(self._settings)).with_outputs(PULSE, DEAD, main="minutes")
        )
        return _typed(rows)


def _typed(rows: Any) -> Any:
    """Cubes are keyed by text: said aloud, so that keys and cubes get their own coders."""
    rows.minutes.element_type = rows[PULSE].element_type = KV[str, Cube]
    return rows
