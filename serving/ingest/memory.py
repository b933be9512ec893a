"""Finished batch ids in Redis, so that a batch sent again is answered and not counted again.

Requests that come in together share one round trip. Redis is an optimisation here: when it is away
batches are accepted all the same, and the pipeline leaves out the repeats.
"""

import asyncio
import time
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Protocol

from redis.asyncio import Redis
from redis.exceptions import RedisError

from serving.ingest.connect import open_redis
from serving.ingest.link import Link
from telemetry import metrics

KEEP_S: Final = 86_400
_COMPRESS_ABOVE: Final = 512
# Keeps as many as there are values, and gets the other keys: one command, since the client takes
# 40 us for every command and its answer.
_ROUND: Final = """
local written, found = #ARGV - 1, {}
for i = 1, written do redis.call('SET', KEYS[i], ARGV[i + 1], 'EX', ARGV[1]) end
for i = written + 1, #KEYS do found[i - written] = redis.call('GET', KEYS[i]) end
return found
"""

_Question = tuple[str, asyncio.Future[bytes | None]]
_Fact = tuple[str, bytes, Callable[[], object]]


class Memory(Protocol):
    """What happened to batches, by key. Never raises; what it cannot do it leaves."""

    async def get(self, key: str) -> bytes | None:
        """The reply kept for a batch, or None."""
        ...

    def put(self, key: str, reply: bytes, done: Callable[[], object]) -> None:
        """Keep a reply for a day. `done` is called once, soon: it is kept, or cannot be."""
        ...

    async def reachable(self) -> bool:
        """Whether the memory works now."""
        ...

    async def stop(self) -> None:
        """Let go."""
        ...


def batch_key(project: str, batch_id: str) -> str:
    """Where the reply to a batch stands."""
    return f"sl:batch:{project}:{batch_id}"


class RedisMemory:
    """`Memory` in Redis; what an outage costs, `link` says."""

    def __init__(
        self, redis: "Redis", timeout_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._redis = redis
        self._timeout_s = timeout_s
        self.link = Link(timeout_s, clock)
        self._reads: list[_Question] = []
        self._writes: list[_Fact] = []
        self._worker: asyncio.Task[None] | None = None

    @classmethod
    def connect(cls, url: str, timeout_ms: int) -> "RedisMemory":
        """Nothing is opened until the first use."""
        return cls(*open_redis(url, timeout_ms, connections=4))

    async def get(self, key: str) -> bytes | None:
        """The reply, or None when there is none or Redis is away."""
        if self.link.away:
            return None
        future = asyncio.get_running_loop().create_future()
        self._reads.append((key, future))
        self._wake()
        value: bytes | None = await future
        return None if value is None else _unpack(value)

    def put(self, key: str, reply: bytes, done: Callable[[], object]) -> None:
        """`done` is called at once while Redis is away."""
        if self.link.away:
            done()
            return
        self._writes.append((key, _pack(reply), done))
        self._wake()

    async def reachable(self) -> bool:
        """One PING, whatever came before."""
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._redis.ping()
        except (RedisError, OSError, TimeoutError):
            return False
        return True

    async def stop(self) -> None:
        """Finish what is under way and close the connections."""
        if self._worker is not None:
            await asyncio.wait([self._worker])
        await self._redis.aclose()

    def _wake(self) -> None:
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())

    async def _work(self) -> None:
        while self._reads or self._writes:
            reads, self._reads = self._reads, []
            writes, self._writes = self._writes, []
            values: list[bytes | None] = [None] * len(reads)
            if not self.link.away:
                began = time.perf_counter()
                found = await self.link.ask(partial(self._round, reads, writes))
                if found is None:
                    metrics.COLLECTOR_MEMORY_ERRORS.inc()
                else:
                    values = found
                metrics.COLLECTOR_MEMORY.observe(time.perf_counter() - began)
            for (_, future), value in zip(reads, values, strict=True):
                if not future.done():
                    future.set_result(value)
            for _, _, done in writes:
                done()

    async def _round(self, reads: list[_Question], writes: list[_Fact]) -> list[bytes | None]:
        keys = [key for key, _, _ in writes] + [key for key, _ in reads]
        values = [value for _, value, _ in writes]
        found: Any = self._redis.eval(_ROUND, len(keys), *keys, KEEP_S, *values)
        return list(await found)


def _pack(reply: bytes) -> bytes:
    return reply if len(reply) <= _COMPRESS_ABOVE else zlib.compress(reply, 1)


def _unpack(value: bytes) -> bytes:
    return value if value.startswith(b"{") else zlib.decompress(value)
