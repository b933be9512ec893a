"""A load generator for the collector: a process of its own, cheap, closed or open loop.

Closed: each connection sends the next request when the last is answered, which is as fast as the
collectors take it. Open: requests are due evenly at a rate, and one that finds no connection free
is counted from when it was due, so a collector that stalls cannot hide it. At most `connections`
are under way, whatever happens. Beside them probes, requests of one event, go out one after the
other on a connection of their own, some a second.
"""

import asyncio
import itertools
import random
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import uvloop

from benchmarks.bodies import Body, bodies, probe
from benchmarks.connection import Connection
from benchmarks.curves import Floats, Ints
from benchmarks.dataset import Shape
from benchmarks.piped import Piped

RETRY: Final = 0.2  # seconds after a 503 or a broken connection
BREAKS: Final = 3  # of the connection, for one request
ANSWER: Final = 60.0  # seconds for one
PROBES: Final = 4.0  # a second
START: Final = 120.0  # seconds to render the bodies


@dataclass(frozen=True)
class Target:
    """Where to send what: `bodies` different requests of `per_request` events are sent in turn."""

    ports: tuple[int, ...]
    key: str
    shape: Shape
    per_request: int = 1_000
    connections: int = 32  # in all
    bodies: int = 64
    host: str = "127.0.0.1"


class Load(NamedTuple):
    """How to send: `rate` in events per second, None for as fast as they are taken."""

    seconds: float
    rate: float | None = None


class Rows(NamedTuple):
    """One for each acknowledged request."""

    at: Floats  # unix seconds when it was sent, or due
    acked: Floats
    events: Ints
    micros: Ints


class Sent(NamedTuple):
    """The requests of a load and its probes; how many tries were answered 503, or not at all."""

    load: Rows
    probes: Rows
    refused: int
    broken: int
    late: float  # seconds, the most that one was sent after it was due

    @property
    def all(self) -> Rows:
        """Both, the load first."""
        one, other = self.load, self.probes
        return Rows(
            np.append(one.at, other.at),
            np.append(one.acked, other.acked),
            np.append(one.events, other.events),
            np.append(one.micros, other.micros),
        )


_Row = tuple[float, float, int, int]  # see Rows


class _Answer(msgspec.Struct):
    accepted: int


class Sender(Piped):
    """The generator's process: `begin` a load, `poll` until it is done, `take` what was sent."""

    def __init__(self, target: Target) -> None:
        super().__init__("the load generator", START, _main, target)

    def begin(self, load: Load) -> None:
        """Start to send."""
        self._pipe.send(load)

    def poll(self, seconds: float) -> bool:
        """Wait so long; whether all is sent and acknowledged."""
        return self._pipe.poll(seconds)

    def take(self) -> Sent:
        """What was sent. Raises RuntimeError for an answer that is neither 202 nor 503."""
        sent: Sent = self._reply()
        return sent


def due(load: Load, per_request: int, began: float) -> Iterator[float | None]:
    """When each request is due, unix seconds; None: now, until the time is over."""
    if load.rate is None:
        while time.time() < began + load.seconds:
            yield None
        return
    for index in range(int(load.seconds * load.rate / per_request)):
        yield began + index * per_request / load.rate


def every(gap: float, began: float, seconds: float) -> Iterator[float]:
    """Moments to send at, `gap` apart or, when the last answer took longer, at once."""
    at = began
    while at < began + seconds:
        yield at
        at = max(at + gap, time.time())


def _main(target: Target, pipe: Any) -> None:
    made = bodies(target.shape, target.bodies, target.per_request)
    pipe.send(len(made))
    while True:
        load = pipe.recv()
        try:
            pipe.send(uvloop.run(_Run(target, made, load).run()))
        except (OSError, RuntimeError, TimeoutError, msgspec.DecodeError) as error:
            pipe.send(f"{type(error).__name__}: {error}")


class _Run:
    """One load, from the first connection to the last answer."""

    def __init__(self, target: Target, made: list[Body], load: Load) -> None:
        self._target = target
        self._bodies = made
        self._load = load
        self._refused = self._broken = 0
        self._late = 0.0

    async def run(self) -> Sent:
        """Send it all."""
        target, load = self._target, self._load
        ports = itertools.islice(itertools.cycle(target.ports), target.connections + 1)
        made = [Connection(target.host, port) for port in ports]
        began = time.time()
        rows: list[_Row] = []
        probes: list[_Row] = []
        times, content = due(load, target.per_request, began), itertools.cycle(self._bodies)
        seldom = every(1 / PROBES, began, load.seconds)
        await asyncio.gather(
            self._work(made[0], seldom, itertools.repeat(probe()), probes),
            *(self._work(connection, times, content, rows) for connection in made[1:]),
        )
        for connection in made:
            connection.close()
        return Sent(_rows(rows), _rows(probes), self._refused, self._broken, self._late)

    async def _work(
        self,
        connection: Connection,
        times: Iterator[float | None],
        content: Iterator[Body],
        rows: "list[_Row]",
    ) -> None:
        for moment in times:  # shared: whoever is free takes the next
            at = time.time() if moment is None else moment
            await asyncio.sleep(max(0.0, at - time.time()))
            self._late = max(self._late, time.time() - at)
            body = next(content)
            await self._deliver(connection, body, at)
            rows.append((at, time.time(), body.events, body.micros))

    async def _deliver(self, connection: Connection, body: Body, at: float) -> None:
        content = body.render(_uuid(), int(at * 1000))
        head = (
            b"POST /v1/events HTTP/1.1\r\nHost: collector\r\nContent-Type: application/json\r\n"
            b"X-Write-Key: %s\r\n%sContent-Length: %d\r\n\r\n"
            % (self._target.key.encode(), body.headers, len(content))
        )
        breaks = 0
        while True:  # the same batch id: however often it arrives, it counts once
            try:
                async with asyncio.timeout(ANSWER):
                    status, answer = await connection.ask(head, content)
            except ConnectionError:
                self._broken += 1
                breaks += 1
                if breaks > BREAKS:
                    raise
            else:
                if status == 202:
                    break
                if status != 503:
                    raise RuntimeError(f"{status}: {answer[:300]!r}")
                self._refused += 1
            await asyncio.sleep(RETRY)
        accepted = msgspec.json.decode(answer, type=_Answer).accepted
        if accepted != body.events:
            raise RuntimeError(f"{accepted} of {body.events} events accepted: {answer[:300]!r}")


def _rows(made: "list[_Row]") -> Rows:
    at, acked, events, micros = zip(*made, strict=True) if made else ((), (), (), ())
    return Rows(
        np.array(at, float), np.array(acked, float), np.array(events, int), np.array(micros, int)
    )


def _uuid() -> uuid.UUID:
    """Random, without asking the system."""
    return uuid.UUID(int=random.getrandbits(128), version=4)
