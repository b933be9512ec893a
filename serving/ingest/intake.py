"""What happens to one request's events, from body to the broker's word, and once per batch id."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import msgspec

from events.agent import Agent
from serving.ingest.buffers import Buffers
from serving.ingest.errors import RequestError
from serving.ingest.ledger import Ledger
from serving.ingest.memory import Memory, batch_key
from serving.ingest.producer import Broker
from serving.ingest.reader import Read, Reader, Rejected
from serving.ingest.rows import Part, Sender, make_parts
from serving.projects import Project
from stores.recent import Entry
from telemetry import metrics


class Reply(msgspec.Struct):
    """The answer to `POST /v1/events`."""

    accepted: int
    rejected: list[Rejected]


@dataclass(slots=True)
class _Rows:
    """What one request has for the buffers, and what it answers."""

    parts: dict[int, Part]
    accepted: int
    rejected: list[Rejected]
    refused: RequestError | None  # then there are no parts
    sample: list[Entry]  # for people to look at, once they are stored


_encode = msgspec.json.Encoder().encode


def now_ms() -> int:
    """The wall clock."""
    return time.time_ns() // 1_000_000


class Intake:
    """Takes requests. A batch id that was finished, or is under way, is not produced again.

    A batch id names its content: sent again with another body it gets the first one's answer.
    """

    def __init__(
        self,
        broker: Broker,
        buffers: Buffers,
        memory: Memory,
        ledger: Ledger | None = None,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._broker = broker
        self._buffers = buffers
        self._memory = memory
        self._ledger = ledger
        self._clock = clock
        self._readers: dict[str, Reader] = {}  # by project
        self._under_way: dict[str, asyncio.Future[bytes | RequestError]] = {}

    def read(self, body: bytes, project: Project) -> Read:
        """The events in a body. Raises `RequestError`."""
        reader = self._readers.get(project.name)
        if reader is None:
            reader = self._readers[project.name] = Reader(project)
        return reader.read(body)

    async def take(self, read: Read, project: Project, country: str, agent: Agent) -> bytes:
        """The reply's JSON, when the broker has all accepted events. Raises `RequestError`.

        Rows are made before anything is waited for: what waits is smaller than the events.
        """
        metrics.COLLECTOR_RECEIVED.add(read.received)
        sender = Sender(self._clock(), country, agent)
        if read.batch_id is None:
            return (await self._store(self._rows(read, project, sender), project, sender))[0]
        key = batch_key(project.name, read.batch_id)
        first = self._under_way.get(key)
        if first is None:
            first = self._under_way[key] = asyncio.get_running_loop().create_future()
            outcome: bytes | RequestError = RequestError("internal_error")
            kept = False
            try:
                rows = self._rows(read, project, sender)
                outcome, kept = await self._once(key, rows, project, sender)
            except RequestError as error:
                outcome = error
            finally:
                first.set_result(outcome)
                if not kept:
                    del self._under_way[key]
        else:
            read.events.clear()
            outcome = await asyncio.shield(first)
            metrics.COLLECTOR_REPEATS.inc("under_way")
        if isinstance(outcome, RequestError):
            raise RequestError(outcome.code, outcome.detail)
        return outcome

    def _rows(self, read: Read, project: Project, sender: Sender) -> _Rows:
        """The request's rows, or why they cannot be taken now. Empties what was read."""
        accepted, parts, sample = len(read.events), {}, []
        partitions = self._broker.partitions()
        refused = None if partitions else RequestError("broker_unavailable")
        try:
            self._buffers.check(read.received)  # before the work, not only after
        except RequestError as error:
            refused = refused or error
        if refused is None:
            parts = make_parts(read, project, sender, partitions)
            if self._ledger is not None:
                sample = self._ledger.recent.sample(project.name, read, sender)
        read.events.clear()
        return _Rows(parts, accepted, read.rejected, refused, sample)

    async def _once(
        self, key: str, rows: _Rows, project: Project, sender: Sender
    ) -> tuple[bytes, bool]:
        """The reply, and whether it stays under way until the memory has it.

        Nobody waits for that: who has the answer does not send the batch again.
        """
        known = await self._memory.get(key)
        if known is not None:
            metrics.COLLECTOR_REPEATS.inc("memory")
            return known, False
        reply, accepted = await self._store(rows, project, sender)
        if not accepted:  # with nothing produced there is nothing to repeat
            return reply, False
        self._memory.put(key, reply, partial(self._under_way.pop, key))
        return reply, True

    async def _store(self, rows: _Rows, project: Project, sender: Sender) -> tuple[bytes, int]:
        if rows.refused is not None:
            raise rows.refused
        parts, accepted, rejected = rows.parts, rows.accepted, rows.rejected
        if rejected:
            for reason, count in Counter([refused.code for refused in rejected]).items():
                metrics.COLLECTOR_REJECTED.add(count, reason)
        if parts:
            delivered = self._buffers.add(project.name, parts)
            parts.clear()
            if not await delivered:
                raise RequestError("broker_unavailable")
        metrics.COLLECTOR_ACCEPTED.add(accepted)
        if self._ledger is not None:
            reasons = [refused.code for refused in rejected]
            self._ledger.note(project.name, sender.received_at, accepted, reasons)
            self._ledger.recent.took(project.name, rows.sample)
            self._ledger.recent.rejected(project.name, sender.received_at, rejected)
        return _encode(Reply(accepted, rejected)), accepted
