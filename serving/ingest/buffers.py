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


class _Request:
    """A request that waits for the messages its rows are in."""

    __slots__ = ("_all", "_done", "_left")

    def __init__(self, done: asyncio.Future[bool], messages: int) -> None:
        self._done = done
        self._left = messages
        self._all = True

    def told(self, success: bool) -> None:
        """What became of one of them. All are waited for, so no retry overtakes its first try."""
        self._left -= 1
        self._all = self._all and success
        if not self._left and not self._done.done():
            self._done.set_result(self._all)


class _Buffer:
    """Parts of one (project, partition), and whose they are."""

    __slots__ = ("bytes", "parts", "requests", "rows", "timer")

    def __init__(self, timer: asyncio.TimerHandle) -> None:
        self.parts: list[Part] = []
        self.requests: list[_Request] = []
        self.rows = 0
        self.bytes = 0
        self.timer = timer


class Buffers:
    """Gathers rows and sends them when `linger_ms` has passed or `batch_events` are there."""

    def __init__(self, broker: Broker, budget: Budget, linger_ms: int, batch_events: int) -> None:
        self._broker = broker
        self._budget = budget
        self._linger_s = linger_ms / 1_000
        self._batch_events = batch_events
        self._open: dict[tuple[str, int], _Buffer] = {}
        self._in_flight: set[asyncio.Future[None]] = set()

    def add(self, project: str, parts: Mapping[int, Part]) -> asyncio.Future[bool]:
        """Take a request's rows, some at least. True when the broker has all of them for good.

        Raises `RequestError` `buffer_full`, and then none of the rows is taken.
        """
        self._budget.take(
            sum([p.count for p in parts.values()]), sum([p.bytes for p in parts.values()])
        )
        done = asyncio.get_running_loop().create_future()
        request = _Request(done, len(parts))
        for partition, part in parts.items():
            self._append(project, partition, part, request)
        return done

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

    def _append(self, project: str, partition: int, part: Part, request: _Request) -> None:
        key = (project, partition)
        buffer = self._open.get(key)
        if buffer is not None and buffer.bytes + part.bytes > MAX_BYTES:
            self._send(key)
            buffer = None
        if buffer is None:
            timer = asyncio.get_running_loop().call_later(self._linger_s, self._send, key)
            buffer = self._open[key] = _Buffer(timer)
        buffer.parts.append(part)
        buffer.requests.append(request)
        buffer.rows += part.count
        buffer.bytes += part.bytes
        if buffer.rows >= self._batch_events:
            self._send(key)

    def _send(self, key: tuple[str, int]) -> None:
        buffer = self._open.pop(key)
        buffer.timer.cancel()
        done = asyncio.get_running_loop().create_future()
        self._in_flight.add(done)

        def delivered(success: bool) -> None:
            self._budget.give(buffer.rows, buffer.bytes)
            self._in_flight.discard(done)
            done.set_result(None)
            for request in buffer.requests:
                request.told(success)

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
