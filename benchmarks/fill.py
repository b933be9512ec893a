"""A topic filled with a dataset, and the truth about it."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any, Final

from confluent_kafka import Producer

from benchmarks import dataset
from benchmarks.dataset import Chunk, Shape, Truth
from events import batch

FORMS: Final = ("arrow", "ndjson", "json")  # EventBatches, lines in one message, one event each
WRITERS: Final = 2
_CONTENT: Final = {
    "arrow": batch.CONTENT_TYPE,
    "ndjson": batch.CONTENT_TYPE_NDJSON,
    "json": batch.CONTENT_TYPE_JSON,
}


@dataclass(frozen=True)
class Plan:
    """What to write: `events` in order of time, evenly over `span_ms` from `start_ms`.

    `message_events` is the mean of a message: partitions are as unequal as users are.
    """

    shape: Shape
    events: int
    start_ms: int
    span_ms: int
    form: str = "arrow"
    message_events: int = 1_000
    partitions: int = 8
    topic: str = "events"

    @property
    def chunk_events(self) -> int:
        """Of one chunk: a message for each partition."""
        return self.message_events * self.partitions

    @property
    def chunks(self) -> int:
        """How many whole chunks that is."""
        return max(1, self.events // self.chunk_events)

    def chunk(self, index: int) -> Chunk:
        """Chunk `index` at its place in time."""
        start = self.start_ms + self.span_ms * index // self.chunks
        end = self.start_ms + self.span_ms * (index + 1) // self.chunks
        return dataset.chunk(self.shape, index, self.chunk_events, start, end - start)


def messages(part: Chunk, form: str) -> Iterator[tuple[bytes, int]]:
    """The payloads of some events of one partition, with the number of events of each."""
    if form == "arrow":
        yield dataset.event_batch(part), len(part)
    elif form == "ndjson":
        yield b"\n".join(dataset.json_lines(part)), len(part)
    else:
        for line in dataset.json_lines(part):
            yield line, 1


def headers(form: str, events: int) -> list[tuple[str, bytes]]:
    """As the collector sets them."""
    return [
        (batch.HEADER_CONTENT_TYPE, _CONTENT[form].encode()),
        (batch.HEADER_PROJECT, dataset.PROJECT.encode()),
        (batch.HEADER_COUNT, str(events).encode()),
    ]


def producer(bootstrap: str, form: str) -> Any:
    """JSON is compressed on the way, EventBatches are already."""
    return Producer(
        {
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,
            "linger.ms": 20,
            "batch.size": 1_000_000,
            "message.max.bytes": 8_000_000,
            "queue.buffering.max.messages": 500_000,
            "compression.type": "none" if form == "arrow" else "lz4",
        }
    )


def produce(into: Any, topic: str, partition: int, payload: bytes, head: Any, told: Any) -> None:
    """One message; waits while the queue is full."""
    while True:
        try:
            into.produce(topic, payload, partition=partition, headers=head, on_delivery=told)
            return
        except BufferError:
            into.poll(0.05)


def fill(bootstrap: str, plan: Plan) -> Truth:
    """Write all of the plan, acknowledged. Raises RuntimeError when something was not."""
    context = get_context("spawn")
    queue: Any = context.Queue()
    writers = [
        context.Process(target=_write, args=(bootstrap, plan, first, queue))
        for first in range(WRITERS)
    ]
    for writer in writers:
        writer.start()
    truth = Truth(plan.shape)
    failed: list[str] = []
    for _ in writers:
        part, failures = queue.get()
        truth.merge(part)
        failed += failures
    for writer in writers:
        writer.join()
    if failed:
        raise RuntimeError(f"{len(failed)} messages were not taken: {failed[0]}")
    return truth


def _write(bootstrap: str, plan: Plan, first: int, queue: Any) -> None:
    into = producer(bootstrap, plan.form)
    failed: list[str] = []
    truth = Truth(plan.shape)

    def told(error: Any, _: Any) -> None:
        if error is not None:
            failed.append(str(error))

    for index in range(first, plan.chunks, WRITERS):
        events = plan.chunk(index)
        truth.add(events)
        for partition, part in events.parts(plan.partitions):
            for payload, count in messages(part, plan.form):
                head = headers(plan.form, count)
                produce(into, plan.topic, partition, payload, head, told)
        into.poll(0)
    deadline = time.monotonic() + 120
    while into.flush(1.0) and time.monotonic() < deadline:
        pass
    if len(into):
        failed.append("not acknowledged in time")
    queue.put((truth, failed))
