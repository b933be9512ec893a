"""The same events in three forms, one topic each, written once for all engines.

A topic is the first events of one endless stream, so a shorter one is a prefix of a longer one,
with as many events in each minute. Engines differ in speed by a factor of fifty: each gets a topic
that keeps it busy for a while, and what is compared is the cost of an event.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any, Final

from benchmarks import dataset, fill
from benchmarks.dataset import SHAPES, Chunk, Shape, Truth

CHUNK: Final = 8_000  # events: a message of about 1,000 for each partition
PARTITIONS: Final = 8
_MAKERS: Final = 2  # processes
_BLOCK: Final = 32  # chunks
_FLUSH: Final = 120.0  # seconds


@dataclass(frozen=True)
class Topic:
    """Its name, the form of its messages (see `benchmarks.fill.FORMS`), how many events."""

    name: str
    form: str
    chunks: int

    @property
    def events(self) -> int:
        """Of the whole topic."""
        return self.chunks * CHUNK


@dataclass(frozen=True)
class Stream:
    """Events in order of time from `start_ms` on, `per_minute` of them in each minute."""

    start_ms: int
    per_minute: int
    shape: Shape = SHAPES[5_000]

    def at(self, index: int) -> int:
        """When chunk `index` begins."""
        return self.start_ms + index * CHUNK * 60_000 // self.per_minute

    def chunk(self, index: int) -> Chunk:
        """Chunk `index`."""
        start = self.at(index)
        return dataset.chunk(self.shape, index, CHUNK, start, self.at(index + 1) - start)


def fill_all(bootstrap: str, stream: Stream, topics: Sequence[Topic]) -> dict[str, Truth]:
    """Write every topic, acknowledged, each partition in order of time; the truth of each by name.

    Raises RuntimeError when something was not acknowledged.
    """
    producers = {topic.name: fill.producer(bootstrap, topic.form) for topic in topics}
    truths = {topic.name: Truth(stream.shape) for topic in topics}
    failed: list[str] = []

    def told(error: Any, _: Any) -> None:
        if error is not None:
            failed.append(str(error))

    for index, made in enumerate(_made(stream, topics)):
        for topic in topics:
            if index >= topic.chunks:
                continue
            truths[topic.name].add(made.events)
            into = producers[topic.name]
            for partition, payload, count in made.messages[topic.form]:
                head = fill.headers(topic.form, count)
                fill.produce(into, topic.name, partition, payload, head, told)
            into.poll(0)
    for into in producers.values():
        into.flush(_FLUSH)
    unsent = sum(len(into) for into in producers.values())
    if failed or unsent:
        raise RuntimeError(f"{len(failed) + unsent} messages were not taken: {failed[:1]}")
    return truths


@dataclass(frozen=True)
class _Made:
    """A chunk, and its (partition, payload, events) by form."""

    events: Chunk
    messages: dict[str, list[tuple[int, bytes, int]]]


def _made(stream: Stream, topics: Sequence[Topic]) -> Iterator[_Made]:
    """The chunks in order, made by other processes; a block of them is in memory."""
    chunks = max(topic.chunks for topic in topics)
    with get_context("spawn").Pool(_MAKERS) as pool:
        for first in range(0, chunks, _BLOCK):
            block = range(first, min(first + _BLOCK, chunks))
            yield from pool.starmap(
                _make,
                [(stream, i, {t.form for t in topics if i < t.chunks}) for i in block],
                chunksize=1,
            )


def _make(stream: Stream, index: int, forms: set[str]) -> _Made:
    events = stream.chunk(index)
    parts = list(events.parts(PARTITIONS))
    return _Made(
        events,
        {
            form: [
                (partition, payload, count)
                for partition, part in parts
                for payload, count in fill.messages(part, form)
            ]
            for form in forms
        },
    )
