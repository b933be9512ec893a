"""A load generator for the collector that costs little: rendered requests over raw sockets.

Each connection is kept alive and has one request under way (no pipelining). A request is one of a
few bodies with a batch id of its own, as the SDK sends them; with gzip only its tail is compressed
for each request, from a copy of the packer that has seen the rest. It runs in its own process.
"""

import asyncio
import itertools
import time
import uuid
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Any, Final

import uvloop

AGENT: Final = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/131.0.0.0 Safari/537.36"
PAUSE: Final = 0.05  # seconds after a refusal
_LEVEL: Final = 6  # what CompressionStream and most libraries use


@dataclass(frozen=True)
class Load:
    """What to send: `bodies` are lists of events as JSON, each of `events[i]` events."""

    port: int
    key: str
    bodies: Sequence[bytes]
    events: Sequence[int]
    gzip: bool
    connections: int
    warm: float  # seconds before the measured ones
    seconds: float


@dataclass
class Sent:
    """What was answered. Only acknowledged events count, warm ones too."""

    bodies: Counter[int] = field(default_factory=Counter)  # acknowledged, by index of the body
    statuses: Counter[int] = field(default_factory=Counter)
    waits: list[float] = field(default_factory=list)  # seconds, of the measured part
    events: int = 0  # of the measured part
    took: float = 0.0  # seconds
    cpu: float = 0.0  # seconds of the generator's own


class Body:
    """Renders requests of one list of events."""

    def __init__(self, load: Load, events: bytes) -> None:
        self._head = (
            f"POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1:{load.port}\r\nX-Write-Key: {load.key}"
            "\r\nContent-Type: application/json\r\nAccept: */*\r\nOrigin: https://shop.example.com"
            f"\r\nUser-Agent: {AGENT}\r\n{_ENCODED if load.gzip else ''}Content-Length: "
        ).encode()
        self._front = b'{"events":[%s],"sent_at":' % events
        self._packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
        self._packed = self._packer.compress(self._front) if load.gzip else None

    def request(self, batch_id: str, sent_at: int) -> bytes:
        """The bytes of one request."""
        tail = f'{sent_at},"batch_id":"{batch_id}"}}'.encode()
        if self._packed is None:
            body = self._front + tail
        else:
            packer = self._packer.copy()
            body = b"".join((self._packed, packer.compress(tail), packer.flush()))
        return b"%s%d\r\n\r\n%s" % (self._head, len(body), body)


_ENCODED: Final = "Content-Encoding: gzip\r\n"


def status(answer: bytes) -> int | None:
    """The status of an answer, once all of it is there. All have a content-length."""
    head = answer.find(b"\r\n\r\n")
    if head < 0:
        return None
    at = answer.lower().find(b"content-length:", 0, head)
    size = int(answer[at + 15 : answer.find(b"\r\n", at)])
    return int(answer[9:12]) if len(answer) >= head + 4 + size else None


class _Connection(asyncio.Protocol):
    def __init__(self, next_request: Callable[[], tuple[int, bytes] | None], told: Any) -> None:
        self._next = next_request
        self._told = told
        self._answer = b""
        self._index = 0
        self._began = 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._send()

    def _send(self) -> None:
        made = self._next()
        if made is None:
            self._transport.close()
            return
        self._index, request = made
        self._began = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._answer += data
        found = status(self._answer)
        if found is None:
            return
        self._answer = b""
        self._told(self._index, found, time.perf_counter() - self._began)
        if found == 202:
            self._send()
        else:
            asyncio.get_running_loop().call_later(PAUSE, self._send)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


async def _drive(load: Load) -> Sent:
    sent = Sent()
    bodies = [Body(load, events) for events in load.bodies]
    turns = itertools.cycle(range(len(bodies)))
    loop = asyncio.get_running_loop()
    began = time.perf_counter() + load.warm
    until = began + load.seconds

    def next_request() -> tuple[int, bytes] | None:
        if time.perf_counter() >= until:
            return None
        index = next(turns)
        return index, bodies[index].request(str(uuid.uuid4()), time.time_ns() // 1_000_000)

    def told(index: int, found: int, wait: float) -> None:
        sent.statuses[found] += 1
        if found == 202:
            sent.bodies[index] += 1
            if time.perf_counter() >= began:
                sent.events += load.events[index]
                sent.waits.append(wait)

    opened = [
        await loop.create_connection(
            lambda: _Connection(next_request, told), "127.0.0.1", load.port
        )
        for _ in range(load.connections)
    ]
    await asyncio.sleep(max(0.0, began - time.perf_counter()))
    await asyncio.wait([protocol.done for _, protocol in opened], timeout=load.seconds + 60)
    sent.took = time.perf_counter() - began
    sent.cpu = time.process_time()
    return sent


def _run(load: Load, queue: Any) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        queue.put(runner.run(_drive(load)))


class Generator:
    """The load in a process of its own. `result` waits for its end."""

    def __init__(self, load: Load) -> None:
        context = get_context("spawn")
        self._queue: Any = context.Queue()
        self._process = context.Process(target=_run, args=(load, self._queue), daemon=True)
        self._process.start()

    def result(self, within: float) -> Sent:
        """What was answered. Raises `queue.Empty` when that takes longer than so many seconds."""
        sent: Sent = self._queue.get(timeout=within)
        self._process.join()
        return sent
