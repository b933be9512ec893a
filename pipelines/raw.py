"""Raw events to the cold store: a second, independent reader of the same log.

It has its own offsets, so the numbers never wait for it. The log itself is its buffer: a poll that
could not be stored is not claimed, is kept for the next try, and is read again if that happens
elsewhere. Rows are told apart by where they stand in the log, so reading a stretch twice stores it
once.
"""

import logging
import time
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.io.watermark_estimators import ManualWatermarkEstimator
from apache_beam.metrics import Metrics
from apache_beam.utils.timestamp import Duration

from pipelines import sources, watch
from pipelines.log_reader import LogReader, partitions_of
from pipelines.offsets import Offsets
from stores.cold import open_events
from stores.contract import EventStore, RawBatch, StoreUnavailable
from telemetry import metrics
from transforms.decode import Mask, Message

RETRY_SECONDS: Final = 5
# An event that comes so long after it happened is not kept: the store has a partition for each day,
# and one request with wrong clocks would open thousands.
OLDEST_MS: Final = 31 * 86_400_000

_log = logging.getLogger(__name__)


class Poll(NamedTuple):
    """What one poll gave: from where, to where, how many messages, and what is to be stored."""

    start: Offsets
    end: Offsets
    messages: int
    batches: list[RawBatch]


# Reading it again would also mean to read anew what came before it, for its duplicates.
_unstored: Final[WeakKeyDictionary[LogReader, Poll]] = WeakKeyDictionary()


class StoreEvents(sources.ReadKafka):
    """Partitions to stored rows; yields nothing. One bundle is one poll and one insert."""

    def __init__(
        self,
        settings: sources.ReadSettings,
        url: str,
        connect: Callable[[str], EventStore] = open_events,
    ) -> None:
        super().__init__(settings, watch.Tally("raw", "raw"))
        self._url = url
        self._connect = connect
        self._store: EventStore | None = None
        self._stored = Metrics.counter("raw", "events_stored")
        self._retries = Metrics.counter("raw", "retries")

    def setup(self) -> None:
        """A store that connects when it is first needed."""
        super().setup()
        self.connect()

    def connect(self) -> None:
        """The same, for those who show no metrics."""
        self._store = self._connect(self._url)

    def teardown(self) -> None:
        """Let go of connections."""
        if self._store is not None:
            self._store.close()

    @beam.DoFn.unbounded_per_element()
    def process(
        self,
        element: tuple[int, ...],
        tracker: Any = beam.DoFn.RestrictionParam(),
        watermark: Any = beam.DoFn.WatermarkEstimatorParam(
            ManualWatermarkEstimator.default_provider()
        ),
    ) -> Iterator[Any]:
        """One bundle: poll, store, claim, hand the rest back."""
        settings = self._settings
        offsets, _ = tracker.current_restriction()
        with sources.reading(settings, element) as reader:
            poll = _unstored.pop(reader, None)
            if poll is None or (poll.start, poll.end) != (offsets, reader.position):
                reader.seek(offsets, None)
                messages = reader.poll(settings.poll_seconds)
                batches = self.batches(reader, messages)
                poll = Poll(offsets, dict(reader.position), len(messages), batches)
            if not self.write(poll.batches):
                _unstored[reader] = poll
                tracker.defer_remainder(Duration(RETRY_SECONDS))
            elif tracker.try_claim(poll.end):
                self._tally.messages(poll.messages)
                watch.note(reader, "raw")
                self._stored.inc(sum(batch.rows.num_rows for batch in poll.batches))
                tracker.defer_remainder(Duration(0))
        yield from ()

    def write(self, batches: list[RawBatch]) -> bool:
        """Whether the store has taken them."""
        if not batches or self._store is None:
            return True
        began = time.perf_counter()
        try:
            metrics.JOB_WRITTEN.add(self._store.write_events(batches), "raw")
        except StoreUnavailable as error:
            metrics.JOB_RETRIES.inc("raw")
            _log.warning("raw events: %s; again in %d s", error, RETRY_SECONDS)
            self._retries.inc()
            return False
        finally:
            metrics.JOB_WRITE.observe(time.perf_counter() - began, "raw")
        return True

    def batches(self, reader: sources.Repeats, messages: list[Message]) -> list[RawBatch]:
        """The rows of a poll that are no duplicates, by message and project."""
        found = []
        for message in messages:
            decoded = self.decode(message)
            for project, rows in decoded.rows.items():
                self._tally.decoded(rows.num_rows)
                keep = _recent(rows, message.broker_ms)
                counts = np.array([rows.num_rows])
                fresh = reader.fresh([message], counts, rows.column("dedup_key").to_numpy())
                if fresh is not None:
                    self._tally.duplicate(int(len(fresh) - fresh.sum()))
                    keep = keep & fresh
                numbers = decoded.places(project)[keep]
                if not keep.all():
                    rows = rows.filter(pa.array(keep))
                if rows.num_rows:
                    place = (message.partition, message.offset)
                    found.append(RawBatch(project, *place, numbers, rows))
        return found


def _recent(rows: pa.RecordBatch, broker_ms: int) -> Mask:
    """Which rows happened not too long before the message was logged."""
    recent: Mask = rows.column("event_time").to_numpy() >= broker_ms - OLDEST_MS
    return recent


class KafkaEvents(beam.PTransform):
    """All partitions of the topic to the store of raw events, shared among `readers`."""

    def __init__(self, settings: sources.ReadSettings, url: str, readers: int) -> None:
        super().__init__()
        self._settings = settings
        self._url = url
        self._readers = readers

    def expand(self, begin: Any) -> Any:
        """One element per reader, each with every n-th partition."""
        shares = sources.shares(partitions_of(self._settings.log), self._readers)
        return (
            begin
            | "Partitions" >> beam.Create(shares, reshuffle=False)  # partitions
            | "Store" >> beam.ParDo(StoreEvents(self._settings, self._url))
        )
