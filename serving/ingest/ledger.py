"""What this collector process has received, by project and minute: its page of the ledger.

Counts are absolute and only grow, and this process alone writes its field of a minute, so a write
that is repeated, late or lost until the next one does no harm. Requests that the broker did not
take are answered with 503 and stand nowhere: their events come again.
"""

import asyncio
import logging
import uuid
from collections.abc import Iterable
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from serving.ingest.connect import open_redis
from serving.ingest.recent import Recent
from stores import ledger
from stores.pane import MINUTE

EVERY: Final = 0.5  # seconds between two writes
HELD: Final = 10 * MINUTE  # seconds; a minute this old and written is forgotten
MAX_PAGES: Final = 10_000  # minutes of projects that wait for a Redis that is away

_log = logging.getLogger(__name__)


class Ledger:
    """Counts of events, and the task that writes them."""

    def __init__(self, redis: "Redis", timeout_s: float) -> None:
        self._redis = redis
        self._timeout_s = timeout_s
        self._process = uuid.uuid4().hex
        self._pages: dict[tuple[str, int], dict[str, int]] = {}
        self._changed: set[tuple[str, int]] = set()
        self._away = False
        self._task: asyncio.Task[None] | None = None
        self.recent = Recent()  # written on the way, once: a sample may have gaps
        self.dropped = 0  # pages that could not be kept

    @classmethod
    def connect(cls, url: str, timeout_ms: int) -> "Ledger":
        """Nothing is opened until the first write."""
        return cls(*open_redis(url, timeout_ms, connections=1))

    def note(self, project: str, received_ms: int, accepted: int, rejected: Iterable[str]) -> None:
        """One request is answered: how many events were accepted, and a reason for each other."""
        minute = received_ms // 1000 // MINUTE * MINUTE
        page = self._pages.setdefault((project, minute), {ledger.RECEIVED: 0, ledger.ACCEPTED: 0})
        page[ledger.ACCEPTED] += accepted
        page[ledger.RECEIVED] += accepted
        for reason in rejected:
            page[reason] = page.get(reason, 0) + 1
            page[ledger.RECEIVED] += 1
        self._changed.add((project, minute))

    def start(self) -> None:
        """Write from now on."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Write what is left, once, and close the connection."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await self.write()
        await self._redis.aclose()

    async def write(self) -> None:
        """Everything that has changed, in one round trip; what fails is written the next time."""
        changed, self._changed = sorted(self._changed), set()
        if not changed and not self.recent.waits:
            return
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                self._redis.pipeline(transaction=False) as pipe,
            ):
                for project, minute in changed:
                    where = ledger.key(project, minute)
                    pipe.hset(where, self._process, ledger.encode(self._pages[project, minute]))
                    pipe.expireat(where, minute + ledger.EXPIRES)
                self.recent.put(pipe)
                await pipe.execute()
        except (RedisError, OSError, TimeoutError) as error:
            if not self._away:
                _log.warning("the ledger waits for Redis (%s)", type(error).__name__)
            self._away = True
            self._changed.update(changed)
        else:
            self._away = False
        self._forget(max((minute for _, minute in self._pages), default=0))

    def _forget(self, newest: int) -> None:
        """Let go of what is written and old; under a long outage, of the oldest too."""
        for place in [p for p in self._pages if p not in self._changed and p[1] < newest - HELD]:
            del self._pages[place]
        while len(self._pages) > MAX_PAGES:
            oldest = min(self._pages, key=lambda place: place[1])
            del self._pages[oldest]
            self._changed.discard(oldest)
            self.dropped += 1

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            await self.write()
