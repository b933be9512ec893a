"""Reading some partitions of a Kafka topic, with what is known of each: position, duplicates,
watermark. Knows Kafka and the clock, nothing of Beam.
"""

import logging
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
from confluent_kafka import (
    OFFSET_END,
    TIMESTAMP_LOG_APPEND_TIME,
    Consumer,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from numpy.typing import NDArray

from events import batch, limits
from pipelines.offsets import Offsets
from transforms.decode import Decoded, Mask, Message, decode
from transforms.duplicates import Duplicates

_log = logging.getLogger(__name__)
_TIMEOUT: Final = 10.0
_CONFIRM_EVERY: Final = 1.0  # seconds between two questions where the log ends
_CONFIRM_TIMEOUT: Final = 1.0
_GUESS: Final = 100_000  # bytes of a message, before any was seen
NEAR: Final = 1_000  # messages that are rather read than jumped over


class BrokerError(RuntimeError):
    """Kafka could not be read; the bundle fails and is retried."""


@dataclass(frozen=True)
class LogSettings:
    """Where to read and how time passes. Seconds where not said otherwise."""

    bootstrap: str
    topic: str
    out_of_orderness: int = 10
    idle_seconds: int = 5
    poll_messages: int = 20_000
    poll_bytes: int = 33_554_432
    group: str = "streamlens-pipeline"  # asked for by the client, used for nothing


class LogReader:
    """One consumer over fixed partitions; not thread-safe."""

    def __init__(
        self,
        settings: LogSettings,
        partitions: Iterable[int],
        decode: Callable[[Message], Decoded] = decode,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._decode = decode
        self._clock = clock
        self._consumer = Consumer(_config(settings, eof=True))
        self.partitions = tuple(partitions)
        self.position: Offsets = {}
        self.lost_since: float | None = None  # unix seconds: the broker does not answer
        self._watermark: dict[int, int] = {}  # ms
        self._last_message: dict[int, float] = {}
        self._ended: Offsets = {}  # where the client found the end, by partition
        self._asked = float("-inf")
        self._duplicates: dict[int, Duplicates] = {}
        self._mean_bytes = float(_GUESS)

    def seek(self, offsets: Offsets, watermark_ms: int | None) -> None:
        """Continue at `offsets`. Nothing is done when the reader is already there."""
        if offsets == self.position:
            return
        self.position = dict(offsets)
        self._consumer.assign(
            [TopicPartition(self._settings.topic, p, offset) for p, offset in offsets.items()]
        )
        self._ended.clear()
        self._duplicates.clear()
        now = self._clock()
        self._last_message = dict.fromkeys(self.partitions, now)
        start = {} if watermark_ms is None else dict.fromkeys(self.partitions, watermark_ms)
        self._watermark = start

    def poll(self, seconds: float) -> list[Message]:
        """Messages of at most `seconds`; positions move on.

        Ended early by `poll_messages`, or by about `poll_bytes`: as many are asked for as the size
        of those before lets expect.
        """
        settings, deadline = self._settings, self._clock() + seconds
        messages: list[Message] = []
        size = 0
        while len(messages) < settings.poll_messages and size < settings.poll_bytes:
            left = deadline - self._clock()
            if left <= 0:
                break
            fit = int((settings.poll_bytes - size) / max(1.0, self._mean_bytes)) + 1
            room = min(settings.poll_messages - len(messages), fit)
            records = self._consumer.consume(num_messages=room, timeout=min(left, 0.1))
            for record in records:
                size += self._take(record, messages)
            if messages:
                self._mean_bytes = size / len(messages)
        return messages

    def fresh(
        self, messages: Sequence[Message], counts: NDArray[np.int64], keys: NDArray[np.uint64]
    ) -> Mask | None:
        """See `sources.Repeats`."""
        first = messages[0]
        known = self._duplicates.get(first.partition)
        if known is None:
            known = self._history(first)
            self._duplicates[first.partition] = known
        return known.fresh(keys, first.broker_ms, counts)

    def saw(self, partition: int, newest_ms: int) -> None:
        """An event time was seen: the partition's watermark follows, never past the clock."""
        newest = min(newest_ms, int(self._clock() * 1000))
        mark = newest - self._settings.out_of_orderness * 1000
        self._watermark[partition] = max(mark, self._watermark.get(partition, mark))

    def watermark_of(self, partition: int) -> int | None:
        """The partition's own watermark in ms, or None before anything is known."""
        return self._watermark.get(partition)

    def watermark(self) -> int | None:
        """The watermark over all partitions in ms: the least; idle ones follow the clock."""
        self._follow_clock()
        if len(self._watermark) < len(self.partitions):
            return None
        return min(self._watermark.values())

    def _follow_clock(self) -> None:
        """Idle partitions follow the clock, as far as the broker says that they end where we are.

        Silence alone says nothing: the broker may be away, and have acknowledged what we have yet
        to read. What it acknowledges after this question has a later time than the mark set here.
        """
        now = self._clock()
        idle = self._settings.idle_seconds
        quiet = [p for p in self.partitions if now - self._last_message[p] >= idle]
        if quiet and now - self._asked < _CONFIRM_EVERY:
            return
        try:
            ends = self._ends(quiet) if quiet else {}
        except KafkaException as error:
            if self.lost_since is None:
                _log.warning("kafka does not answer; the watermark waits: %s", error.args[0].str())
                self.lost_since = now
            return
        finally:
            self._asked = self._clock()
        if self.lost_since is not None:
            _log.warning("kafka answers again after %.0f s", now - self.lost_since)
            self.lost_since = None
        for p, end in ends.items():
            if end <= max(self.position[p], self._ended.get(p, 0)):
                self.saw(p, int(now * 1000))

    def _ends(self, partitions: Iterable[int]) -> Offsets:
        """Where the log ends now, by partition. Raises KafkaException."""
        topic = self._settings.topic
        asked = [TopicPartition(topic, p, OFFSET_END) for p in partitions]
        answers = self._consumer.offsets_for_times(asked, timeout=_CONFIRM_TIMEOUT)
        for answer in answers:
            if answer.error is not None:
                raise KafkaException(answer.error)
        return {answer.partition: answer.offset for answer in answers}

    def behind(self) -> dict[int, int]:
        """Messages from the position to the end, by partition, as of the last fetch."""
        found = {}
        for partition, position in self.position.items():
            where = TopicPartition(self._settings.topic, partition)
            try:
                end = self._consumer.get_watermark_offsets(where, cached=True)[1]
            except KafkaException:  # not known yet; a figure is not worth a bundle
                continue
            if end >= 0:  # below: nothing was fetched yet
                found[partition] = max(0, end - position)
        return found

    def close(self) -> None:
        """Give the consumer back."""
        self._consumer.close()

    def _take(self, record: Any, messages: list[Message]) -> int:
        """A record, or what the client has to say; the bytes of the message, if it is one."""
        error = record.error()
        partition = record.partition()
        if error is None:
            message = _message(record)
            if message.offset < self.position[partition]:
                return 0
            self.position[partition] = message.offset + 1
            self._last_message[partition] = self._clock()
            messages.append(message)
            return len(message.payload)
        if error.code() == KafkaError._PARTITION_EOF:
            self._ended[partition] = record.offset()  # past the marks of transactions, too
        elif _passes(error):
            _log.warning("kafka: %s", error.str())
        else:
            raise BrokerError(error.str())
        return 0

    def _history(self, message: Message) -> Duplicates:
        """What the log before `message` makes known about duplicates."""
        known = Duplicates()
        since = known.history_start(message.broker_ms)
        for earlier in read_range(
            self._settings, message.partition, since_ms=since, before=message.offset
        ):
            for rows in self._decode(earlier).rows.values():
                known.fresh(rows.column("dedup_key").to_numpy(), earlier.broker_ms)
        return known


def read_range(
    settings: LogSettings, partition: int, *, since_ms: int, before: int
) -> Generator[Message, None, None]:
    """The messages of a partition from a broker time up to an offset, exclusive."""
    start = offsets_at(settings, [partition], since_ms)[partition]
    if start >= before:
        return
    consumer = Consumer(_config(settings, eof=True))
    try:
        consumer.assign([TopicPartition(settings.topic, partition, start)])
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            for record in consumer.consume(num_messages=500, timeout=1.0):
                error = record.error()
                if error is None:
                    message = _message(record)
                    if message.offset < before:
                        deadline = time.monotonic() + 60
                        yield message
                    if message.offset >= before - 1:
                        return
                elif error.code() == KafkaError._PARTITION_EOF:
                    return
        raise BrokerError(f"no history of partition {partition} within 60 s")
    finally:
        consumer.close()


def read_offsets(
    settings: LogSettings, partition: int, offsets: Iterable[int], before: int
) -> Iterator[Message]:
    """The messages at these offsets (ascending, below `before`); those that are gone are left out.

    Neighbours are read on to, what is far is jumped to. Raises BrokerError.
    """
    consumer = Consumer(_config(settings, eof=True))
    try:
        at = -1
        for offset in offsets:
            if not at <= offset <= at + NEAR or at < 0:
                consumer.assign([TopicPartition(settings.topic, partition, offset)])
                at = offset
            while at <= offset < before:
                record = _next(consumer, partition)
                if record is None:
                    break  # the end
                at = record.offset() + 1
                if record.offset() == offset:
                    yield _message(record)
    finally:
        consumer.close()


def _next(consumer: Any, partition: int) -> Any:
    """The next message, or None at the end of the partition."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        record = consumer.poll(1.0)
        if record is None:
            continue
        error = record.error()
        if error is None:
            return record
        if error.code() == KafkaError._PARTITION_EOF:
            return None
        if not _passes(error):
            raise BrokerError(error.str())
    raise BrokerError(f"nothing of partition {partition} within 60 s")


def spans_of(settings: LogSettings) -> dict[int, tuple[int, int]]:
    """Of each partition the first offset that is still there, and the next. Raises BrokerError."""
    partitions = partitions_of(settings)
    with _asking(settings) as consumer:
        return {
            partition: consumer.get_watermark_offsets(
                TopicPartition(settings.topic, partition), timeout=_TIMEOUT
            )
            for partition in partitions
        }


def partitions_of(settings: LogSettings) -> list[int]:
    """The topic's partitions. Raises BrokerError when the topic or the broker is not there."""
    with _asking(settings) as consumer:
        topic = consumer.list_topics(settings.topic, timeout=_TIMEOUT).topics[settings.topic]
        if topic.error is not None:
            raise BrokerError(f"topic {settings.topic}: {topic.error.str()}")
        return sorted(topic.partitions)


def offsets_at(settings: LogSettings, partitions: Iterable[int], broker_ms: int) -> Offsets:
    """The first offset at or after a broker time, by partition; the end when there is none."""
    with _asking(settings) as consumer:
        asked = [TopicPartition(settings.topic, p, broker_ms) for p in partitions]
        found = {}
        for answer in consumer.offsets_for_times(asked, timeout=_TIMEOUT):
            if answer.error is not None:
                raise BrokerError(answer.error.str())
            offset = answer.offset
            if offset < 0:  # nothing that new: the end
                where = TopicPartition(settings.topic, answer.partition)
                offset = consumer.get_watermark_offsets(where, timeout=_TIMEOUT)[1]
            found[answer.partition] = offset
        return found


@contextmanager
def _asking(settings: LogSettings) -> Iterator[Any]:
    """A consumer that reads nothing. What Kafka refuses is a BrokerError."""
    consumer = Consumer(_config(settings))
    try:
        yield consumer
    except KafkaException as error:
        raise BrokerError(f"{settings.bootstrap}: {error.args[0].str()}") from error
    finally:
        consumer.close()


def _passes(error: KafkaError) -> bool:
    """Whether the client gets over an error by itself, as when it reconnects."""
    return error.retriable() or error.code() in _PASSING


_PASSING: Final = {
    KafkaError._TRANSPORT,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._TIMED_OUT,
    KafkaError._RESOLVE,
}


def _config(settings: LogSettings, *, eof: bool = False) -> dict[str, Any]:
    return {
        "bootstrap.servers": settings.bootstrap,
        "group.id": settings.group,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",  # when retention overtook us
        "enable.partition.eof": eof,
        # The broker answers twenty times a second, or sooner when there is much.
        "fetch.wait.max.ms": 50,
        "fetch.min.bytes": 65_536,
        "fetch.message.max.bytes": limits.MAX_MESSAGE_BYTES,
        "queued.max.messages.kbytes": 65_536,
        "reconnect.backoff.max.ms": 2_000,
        "log_level": 2,  # that a broker is away is said by us, once
    }


def _message(record: Any) -> Message:
    content_type, project, count = _headers(tuple(record.headers() or ()))
    kind, time_ms = record.timestamp()
    return Message(
        record.value() or b"",
        content_type,
        project,
        record.topic(),
        record.partition(),
        record.offset(),
        time_ms,
        time_ms if kind == TIMESTAMP_LOG_APPEND_TIME else 0,
        count,
    )


@lru_cache(8)  # neighbours have the same; few, for they may be large
def _headers(found: tuple[tuple[str, bytes | None], ...]) -> tuple[str | None, str | None, int]:
    """Content type, project, and how many rows the producer says there are."""
    headers = dict(found)
    return (
        _text(headers, batch.HEADER_CONTENT_TYPE),
        _text(headers, batch.HEADER_PROJECT),
        _count(headers),
    )


def _count(headers: dict[str, bytes | None]) -> int:
    """What the producer says, unless that cannot be."""
    said = headers.get(batch.HEADER_COUNT) or b"1"
    count = int(said) if said.isdigit() and len(said) < 9 else 1
    return count if 0 < count <= limits.MAX_MESSAGE_ROWS else 1


def _text(headers: dict[str, bytes | None], name: str) -> str | None:
    value = headers.get(name)
    return None if value is None else value.decode("utf-8", "replace")
