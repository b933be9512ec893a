"""The collector's limits: tokens of shared buckets, taken in slices and spent here.

A round trip for every request would cost more than the request. So a process takes what a bucket
gains in `SLICE_S`, or what is asked for when that is more, and goes to Redis again when it is
spent; all buckets that are short in one turn of the event loop go in one call. What is taken may be
spent later, so in t seconds at most burst + rate * t + one slice for each process pass. A refusal
is remembered until its time is over: who sends on costs Redis nothing. While Redis is away each
process has buckets of its own, of the same size.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from redis.asyncio import Redis

from serving.ingest.connect import open_redis
from serving.ingest.link import Link
from serving.limits import MICRO, SCRIPT, Ask, Limit, LocalBuckets, Taken, answers, arguments
from telemetry import metrics

SLICE_S: Final = 0.25
MAX_LEASES: Final = 20_000  # buckets with tokens here, the latest used; some 300 bytes each
ROUND: Final = 256  # buckets of one call, which keeps Redis from others for some 0.3 ms


class _Lease:
    """What this process has of one bucket, and who waits for more."""

    __slots__ = ("asks", "busy", "limit", "refused", "tokens", "until", "who")

    def __init__(self, limit: Limit, who: str) -> None:
        self.limit = limit
        self.who = who
        self.tokens = 0
        self.refused = 0  # tokens that there were not
        self.until = 0.0  # when there will be
        self.asks: list[tuple[int, asyncio.Future[int]]] = []
        self.busy = False  # a call is under way

    def ask(self, asks: list[tuple[int, "asyncio.Future[int]"]]) -> Ask:
        """Of the bucket, for those: what the least of them lacks, or better what all do."""
        costs = [cost for cost, _ in asks]
        most = max(int(self.limit.rate * SLICE_S), sum(costs) - self.tokens)
        least = max(1, min(costs) - self.tokens)
        return Ask(self.limit, self.who, least, max(least, most))


class Leases:
    """`take` for the whole process. With no Redis at all, it counts as while that is away."""

    def __init__(
        self,
        redis: "Redis | None" = None,
        link: Link | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._redis = redis
        self._link = link
        self._clock = clock
        self._local = LocalBuckets(clock, MAX_LEASES)
        self._leases: OrderedDict[tuple[str, str], _Lease] = OrderedDict()
        self._short: list[_Lease] = []
        self._worker: asyncio.Task[None] | None = None

    @classmethod
    def connect(cls, url: str, timeout_ms: int, link: Link) -> "Leases":
        """Nothing is opened until the first use. An outage is the link's, whoever notes it."""
        redis, _ = open_redis(url, timeout_ms, connections=1)
        return cls(redis, link)

    async def take(self, limit: Limit, who: str, cost: int) -> int:
        """0 when there were `cost` tokens, else microseconds until there are."""
        lease = self._lease(limit, who)
        if lease.tokens >= cost and not lease.busy:
            lease.tokens -= cost
            return 0
        now = self._clock()
        if now < lease.until and cost >= lease.refused:
            more = (cost - lease.refused) * MICRO // limit.rate
            return max(1, int((lease.until - now) * MICRO)) + more
        if self._link is None or self._link.away:
            return self._alone(limit, who, cost)
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        if not lease.asks:
            self._short.append(lease)
        lease.asks.append((cost, future))
        lease.busy = True
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        return await future

    async def stop(self) -> None:
        """Finish what is under way and close the connection."""
        if self._worker is not None:
            await asyncio.wait([self._worker])
        if self._redis is not None:
            await self._redis.aclose()

    def __len__(self) -> int:
        return len(self._leases)

    def _lease(self, limit: Limit, who: str) -> _Lease:
        key = (limit.setting, who)
        lease = self._leases.get(key)
        if lease is not None:
            self._leases.move_to_end(key)
            return lease
        lease = self._leases[key] = _Lease(limit, who)
        if len(self._leases) > MAX_LEASES:
            self._leases.popitem(last=False)
        return lease

    def _alone(self, limit: Limit, who: str, cost: int) -> int:
        if self._link is not None:
            metrics.COLLECTOR_LIMITS_LOCAL.inc()
        return self._local.take([Ask(limit, who, cost, cost)])[0].wait

    async def _work(self) -> None:
        while self._short:
            short, self._short = self._short[:ROUND], self._short[ROUND:]
            waiting = []
            for lease in short:
                waiting.append(lease.asks)
                lease.asks = []
            asks = [lease.ask(costs) for lease, costs in zip(short, waiting, strict=True)]
            taken = await self._round(asks)
            for i, (lease, costs) in enumerate(zip(short, waiting, strict=True)):
                self._settle(lease, costs, None if taken is None else taken[i])

    async def _round(self, asks: list[Ask]) -> list[Taken] | None:
        if self._link is None or self._redis is None or self._link.away:
            return None
        began = time.perf_counter()
        call: Callable[[], Any] = partial(self._redis.eval, SCRIPT, *arguments(asks, 1))
        said = await self._link.ask(call)
        metrics.COLLECTOR_LEASES.observe(time.perf_counter() - began)
        return None if said is None else answers(said)

    def _settle(
        self, lease: _Lease, asks: list[tuple[int, "asyncio.Future[int]"]], taken: Taken | None
    ) -> None:
        """Give out what came, first come first served; to each that it is enough for."""
        if taken is not None:
            lease.tokens += taken.granted
        for cost, future in asks:
            if future.done():  # its client is gone
                continue
            if cost <= lease.tokens:
                lease.tokens -= cost
                future.set_result(0)
            elif taken is None:
                future.set_result(self._alone(lease.limit, lease.who, cost))
            else:
                short = (cost - lease.tokens) * MICRO - taken.left
                wait = max(1, -(-short // lease.limit.rate))
                lease.refused, lease.until = cost, self._clock() + wait / MICRO
                future.set_result(wait)
        lease.busy = bool(lease.asks)
