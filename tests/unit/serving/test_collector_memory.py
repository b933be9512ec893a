"""Finished batches in Redis: one round trip for many, and life without it."""

import asyncio
import logging
from typing import Any

from redis.exceptions import ConnectionError as RedisConnectionError

from serving.ingest.memory import KEEP_S, PAUSE_S, RedisMemory, batch_key


class Pipeline:
    def __init__(self, server: Any) -> None:
        self.server = server
        self.commands: list[Any] = []

    async def __aenter__(self) -> Any:
        return self

    async def __aexit__(self, *_: Any) -> None:
        pass

    def set(self, key: Any, value: Any, ex: Any) -> None:
        assert ex == KEEP_S
        self.commands.append(lambda: self.server.values.__setitem__(key, value))

    def mget(self, keys: Any) -> None:
        self.commands.append(lambda: [self.server.values.get(key) for key in keys])

    async def execute(self) -> Any:
        self.server.rounds += 1
        await asyncio.sleep(0)
        if self.server.hangs:
            await asyncio.Event().wait()
        if self.server.away:
            raise RedisConnectionError
        return [command() for command in self.commands]


class Server:
    """The four calls of redis-py that are used."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.rounds = 0
        self.away = False
        self.hangs = False

    def pipeline(self, transaction: Any) -> Any:
        assert not transaction
        return Pipeline(self)

    async def ping(self) -> None:
        if self.away:
            raise RedisConnectionError

    async def aclose(self) -> None:
        pass


def new_server() -> Any:
    return Server()


class Clock:
    now = 0.0

    def __call__(self) -> Any:
        return self.now


def run(coroutine: Any) -> Any:
    return asyncio.run(asyncio.wait_for(coroutine, 20))


def test_a_reply_comes_back_as_it_was():
    async def story() -> None:
        memory = RedisMemory(new_server(), 1)
        for reply in (b'{"accepted":1}', b'{"rejected":[' + b"7," * 5_000 + b"7]}"):
            await memory.put("k", reply)
            assert await memory.get("k") == reply
        assert await memory.get("other") is None
        await memory.stop()

    run(story())


def test_long_replies_are_kept_small():
    async def story() -> None:
        server = new_server()
        await RedisMemory(server, 1).put("k", b'{"x":"' + b"same " * 10_000 + b'"}')
        assert len(server.values["k"]) < 1_000

    run(story())


def test_what_comes_together_shares_a_round_trip():
    async def story() -> None:
        server = new_server()
        memory = RedisMemory(server, 1)
        await asyncio.gather(*(memory.put(str(n), b"{%d}" % n) for n in range(50)))
        assert server.rounds == 1
        found = await asyncio.gather(*(memory.get(str(n)) for n in range(50)))
        assert found == [b"{%d}" % n for n in range(50)]
        assert server.rounds == 2

    run(story())


def test_an_outage_is_noted_once_and_costs_one_try_a_second(caplog):
    async def story() -> None:
        server, clock = new_server(), Clock()
        memory = RedisMemory(server, 1, clock)
        server.away = True
        for _ in range(5):
            assert await memory.get("k") is None
            await memory.put("k", b"{}")
        assert server.rounds == 1
        assert not await memory.reachable()
        clock.now += PAUSE_S
        await memory.get("k")
        assert server.rounds == 2
        assert memory.outages == 1
        server.away = False
        clock.now += PAUSE_S
        await memory.put("k", b"{}")
        assert await memory.get("k") == b"{}"
        assert await memory.reachable()

    with caplog.at_level(logging.INFO, "serving.ingest.memory"):
        run(story())
    assert [r.levelname for r in caplog.records] == ["WARNING", "INFO"]


def test_a_redis_that_hangs_holds_nobody_up():
    async def story() -> None:
        server = new_server()
        server.hangs = True
        memory = RedisMemory(server, 0.02, Clock())
        assert await asyncio.gather(*(memory.get("k") for _ in range(9))) == [None] * 9
        assert server.rounds == 1
        await memory.stop()

    run(story())


def test_projects_do_not_share_batch_ids():
    assert batch_key("a", "1") != batch_key("b", "1")
