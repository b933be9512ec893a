"""Rows wait a moment for others of the same project and partition, then travel as one message.

All rows of one request for one partition go into one message: the pipeline's rule for duplicates
takes a batch id that stands in two messages of a partition for a repeat.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Final

from events import batch
from serving.ingest.budget import Budget
from serving.ingest.message import columns_of
from serving.ingest.producer import Broker, Outgoing
from serving.ingest.rows import ROW_BYTES, Part
from telemetry import logs

_log = logging.getLogger(__name__)

# Rows of one more request (at most 1 MB of JSON) always fit a Kafka message beside this.
MAX_BYTES: Final = 3_145_728
_EVENT_TIME: Final = batch.SCHEMA.get_field_index("event_time")


class _Buffer:
    """Parts of one (project, partition), and the future of the message they will be."""

    __slots__ = ("bytes", "done", "parts", "rows", "timer")

    def __init__(self, done: asyncio.Future[bool], timer: asyncio.TimerHandle) -> None:
        self.parts: list[Part] = []
        self.rows = 0
        self.bytes = 0
        self.done = done
        self.timer = timer


class Buffers:
    """Gathers rows and sends them when `linger_ms` has passed or `batch_events` are there."""

    def __init__(self, broker: Broker, budget: Budget, linger_ms: int, batch_events: int) -> None:
        self._broker = broker
        self._budget = budget
        self._linger_s = linger_ms / 1_000
        self._batch_events = batch_events
        self._open: dict[tuple[str, int], _Buffer] = {}
        self._in_flight: set[asyncio.Future[bool]] = set()

    def add(self, project: str, parts: Mapping[int, Part]) -> list[asyncio.Future[bool]]:
        """Take a request's rows; one future per message, True when the broker has it for good.

        The futures are shared between requests: shield them. Raises `RequestError` `buffer_full`,
        and then none of the rows is taken.
        """
        self._budget.take(
            sum([p.count for p in parts.values()]), sum([p.bytes for p in parts.values()])
        )
        return [self._append(project, partition, part) for partition, part in parts.items()]

    def check(self, events: int) -> None:
        """Whether so many events may come. Raises `RequestError` `buffer_full`."""
        self._budget.take(events, events * ROW_BYTES)
        self._budget.give(events, events * ROW_BYTES)

    async def drain(self) -> None:
        """Send all that waits and return when every message is acknowledged or has failed."""
        self.flush()
        while self._in_flight:
            await asyncio.wait(set(self._in_flight))

    def flush(self) -> None:
        """Send all that waits, now."""
        for key in list(self._open):
            self._send(key)

    def _append(self, project: str, partition: int, part: Part) -> asyncio.Future[bool]:
        key = (project, partition)
        buffer = self._open.get(key)
        if buffer is not None and buffer.bytes + part.bytes > MAX_BYTES:
            self._send(key)
            buffer = None
        if buffer is None:
            loop = asyncio.get_running_loop()
            timer = loop.call_later(self._linger_s, self._send, key)
            buffer = self._open[key] = _Buffer(loop.create_future(), timer)
        buffer.parts.append(part)
        buffer.rows += part.count
        buffer.bytes += part.bytes
        if buffer.rows >= self._batch_events:
            self._send(key)
        return buffer.done

    def _send(self, key: tuple[str, int]) -> None:
        buffer = self._open.pop(key)
        buffer.timer.cancel()
        self._in_flight.add(buffer.done)

        def delivered(success: bool) -> None:
            self._budget.give(buffer.rows, buffer.bytes)
            self._in_flight.discard(buffer.done)
            buffer.done.set_result(success)

        try:
            message = _message(*key, buffer.parts, buffer.rows)
        except Exception as error:  # no request may wait for ever, whatever is wrong with its rows
            logs.failed(_log, "rows could not be encoded", error)
            delivered(False)
            return
        buffer.parts = []
        self._broker.send(message, delivered)


def _message(project: str, partition: int, parts: list[Part], rows: int) -> Outgoing:
    headers = [
        (batch.HEADER_CONTENT_TYPE, batch.CONTENT_TYPE.encode()),
        (batch.HEADER_PROJECT, project.encode()),
        (batch.HEADER_COUNT, str(rows).encode()),
        ("schema", batch.VERSION.encode()),
    ]
    columns = columns_of(parts)
    earliest = int(columns[_EVENT_TIME].to_numpy().min())
    return Outgoing(partition, batch.pack(project, columns), headers, earliest)
