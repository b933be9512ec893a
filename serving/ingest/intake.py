"""What happens to one request's events, from body to the broker's word, and once per batch id."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable

import msgspec

from events import limits, schema
from events.agent import Agent
from serving.ingest.buffers import Buffers
from serving.ingest.errors import RequestError
from serving.ingest.ledger import Ledger
from serving.ingest.memory import Memory, batch_key
from serving.ingest.producer import Broker
from serving.ingest.rows import Rejected, Sender, make_rows
from serving.projects import Project
from telemetry import metrics


class Reply(msgspec.Struct):
    """The answer to `POST /v1/events`."""

    accepted: int
    rejected: list[Rejected]


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
        self._under_way: dict[str, asyncio.Future[bytes | RequestError]] = {}

    async def take(
        self, request: schema.Request, project: Project, country: str, agent: Agent
    ) -> bytes:
        """The reply's JSON, when the broker has all accepted events. Raises `RequestError`.

        Empties the request as soon as its rows are made: it may wait long for the broker.
        """
        metrics.COLLECTOR_RECEIVED.add(len(request.events))
        sender = Sender(self._clock(), country, agent)
        if request.batch_id is None:
            return (await self._store(request, project, sender))[0]
        key = batch_key(project.name, request.batch_id)
        first = self._under_way.get(key)
        if first is None:
            first = self._under_way[key] = asyncio.get_running_loop().create_future()
            outcome: bytes | RequestError = RequestError("internal_error")
            try:
                outcome = await self._once(key, request, project, sender)
            except RequestError as error:
                outcome = error
            finally:
                del self._under_way[key]
                first.set_result(outcome)
        else:
            outcome = await asyncio.shield(first)
            metrics.COLLECTOR_REPEATS.inc("under_way")
        if isinstance(outcome, RequestError):
            raise RequestError(outcome.code, outcome.detail)
        return outcome

    async def _once(
        self, key: str, request: schema.Request, project: Project, sender: Sender
    ) -> bytes:
        known = await self._memory.get(key)
        if known is not None:
            metrics.COLLECTOR_REPEATS.inc("memory")
            return known
        reply, accepted = await self._store(request, project, sender)
        if accepted:  # with nothing produced there is nothing to repeat
            await self._memory.put(key, reply)
        return reply

    async def _store(
        self, request: schema.Request, project: Project, sender: Sender
    ) -> tuple[bytes, int]:
        partitions = self._broker.partitions()
        if not partitions:
            raise RequestError("broker_unavailable")
        self._buffers.check(len(request.events))  # before the work, not only after
        rows = make_rows(request, project, sender, partitions)
        request.events.clear()
        if rows.rejected:
            for reason, count in Counter(refused.code for refused in rows.rejected).items():
                metrics.COLLECTOR_REJECTED.add(count, reason)
        if rows.parts:
            messages = self._buffers.add(project.name, rows.parts)
            rows.parts.clear()
            # All of them are waited for, so that a retry never overtakes its first try.
            delivered = [await asyncio.shield(message) for message in messages]
            if not all(delivered):
                raise RequestError("broker_unavailable")
        metrics.COLLECTOR_ACCEPTED.add(rows.accepted)
        if self._ledger is not None:
            reasons = [refused.code for refused in rows.rejected]
            self._ledger.note(project.name, sender.received_at, rows.accepted, reasons)
        return _encode(Reply(rows.accepted, rows.rejected)), rows.accepted


def parse(body: bytes) -> schema.Request:
    """The request in a body, events undecoded. Raises `RequestError`."""
    try:
        request = schema.decode_request(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        detail = str(error)
        if "required field `events`" in detail:
            raise RequestError("events_missing") from None
        raise RequestError("body_malformed", detail[:200]) from None
    if not request.events:
        raise RequestError("events_missing")
    if len(request.events) > limits.MAX_EVENTS_PER_REQUEST:
        raise RequestError("events_too_many", f"({limits.MAX_EVENTS_PER_REQUEST})")
    return request
