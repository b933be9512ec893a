"""A collector's page of the ledger."""

import asyncio
from collections.abc import Callable
from typing import Any

from redis.exceptions import ConnectionError as Away

from serving.ingest import ledger as ingest
from serving.ingest.ledger import Ledger
from stores import ledger

MINUTE = 1_750_000_020
NOW = MINUTE * 1000 + 5_000


class Pipe:
    """A pipeline over a dict of hashes."""

    def __init__(self, store: "Store") -> None:
        self._store = store
        self._calls: list[tuple[str, str, bytes]] = []

    async def __aenter__(self) -> "Pipe":
        return self

    async def __aexit__(self, *_: Any) -> None:
        return None

    def hset(self, key: str, field: str, value: bytes) -> None:
        self._calls.append((key, field, value))

    def expireat(self, key: str, when: int) -> None:
        self._store.expires[key] = when

    async def execute(self) -> None:
        if self._store.away:
            raise Away("away")
        await asyncio.sleep(0)
        self._store.during()
        for key, field, value in self._calls:
            self._store.hashes.setdefault(key, {})[field] = value


class Store:
    def __init__(self) -> None:
        self.hashes: dict[str, dict[str, bytes]] = {}
        self.expires: dict[str, int] = {}
        self.away = False
        self.during: Callable[[], None] = lambda: None

    def pipeline(self, transaction: bool) -> Pipe:
        assert not transaction
        return Pipe(self)

    def counts(self, minute: int = MINUTE) -> dict[str, int]:
        return ledger.summed(self.hashes.get(ledger.key("shop", minute), {}).values())


def made(store: Store) -> Ledger:
    return Ledger(store, 1.0)  # type: ignore[arg-type]


def test_processes_add_up_and_a_repeated_write_changes_nothing() -> None:
    store = Store()
    one, two = made(store), made(store)
    one.note("shop", NOW, 3, ["event_malformed"])
    two.note("shop", NOW, 2, [])
    one.note("shop", NOW + 1, 1, ["event_malformed", "amount_invalid"])

    async def run() -> None:
        for page in (one, two, one):
            await page.write()
            page.note("shop", NOW, 0, [])
            await page.write()

    asyncio.run(run())
    assert store.counts() == {
        "received": 9,
        "accepted": 6,
        "event_malformed": 2,
        "amount_invalid": 1,
    }
    assert store.expires[ledger.key("shop", MINUTE)] == MINUTE + ledger.EXPIRES


def test_what_a_store_that_is_away_missed_comes_later() -> None:
    store = Store()
    page = made(store)

    async def run() -> None:
        store.away = True
        page.note("shop", NOW, 3, [])
        await page.write()
        store.away = False
        page.note("shop", NOW, 1, [])
        await page.write()

    asyncio.run(run())
    assert store.counts()["accepted"] == 4


def test_what_is_noted_during_a_write_is_written_the_next_time() -> None:
    store = Store()
    page = made(store)
    page.note("shop", NOW, 1, [])
    store.during = lambda: page.note("shop", NOW, 10, [])

    async def run() -> None:
        await page.write()
        store.during = lambda: None
        await page.write()

    asyncio.run(run())
    assert store.counts()["accepted"] == 11


def test_memory_is_bounded_and_what_is_lost_is_counted() -> None:
    store = Store()
    page = made(store)

    async def run() -> None:
        for i in range(100):
            page.note("shop", NOW + i * 60_000, 1, [])
            await page.write()
        assert len(page._pages) <= ingest.HELD // 60 + 1
        store.away = True
        for i in range(100, 100 + ingest.MAX_PAGES + 50):
            page.note("shop", NOW + i * 60_000, 1, [])
        await page.write()

    asyncio.run(run())
    assert len(page._pages) == ingest.MAX_PAGES
    assert page.dropped > 0
