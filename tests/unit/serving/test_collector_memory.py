"""Finished batches in Redis: one round trip for many, and life without it."""

import asyncio
import logging
from typing import Any

from redis.exceptions import ConnectionError as RedisConnectionError

from serving.ingest.link import PAUSE_S
from serving.ingest.memory import KEEP_S, RedisMemory, batch_key


class Server:
    """The three calls of redis-py that are used; the script is run by tests/integration."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.rounds = 0
        self.away = False
        self.hangs = False
        self.wrong = False

    async def eval(self, script: str, count: int, *rest: Any) -> Any:
        self.rounds += 1
        await asyncio.sleep(0)
        if self.hangs:
            await asyncio.Event().wait()
        if self.away:
            raise RedisConnectionError
        if self.wrong:
            raise ValueError(script)
        keys, (keep, *values) = rest[:count], rest[count:]
        assert keep == KEEP_S
        self.values.update(zip(keys[: len(values)], values, strict=True))
        return [self.values.get(key) for key in keys[len(values) :]]

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


def put(memory: RedisMemory, key: str, reply: bytes) -> "asyncio.Future[None]":
    """`memory.put`; the future is done when it says so."""
    kept = asyncio.get_running_loop().create_future()
    memory.put(key, reply, lambda: kept.set_result(None))
    return kept


def run(coroutine: Any) -> Any:
    return asyncio.run(asyncio.wait_for(coroutine, 20))


def test_a_reply_comes_back_as_it_was():
    async def story() -> None:
        memory = RedisMemory(new_server(), 1)
        for reply in (b'{"accepted":1}', b'{"rejected":[' + b"7," * 5_000 + b"7]}"):
            await put(memory, "k", reply)
            assert await memory.get("k") == reply
        assert await memory.get("other") is None
        await memory.stop()

    run(story())


def test_long_replies_are_kept_small():
    async def story() -> None:
        server = new_server()
        await put(RedisMemory(server, 1), "k", b'{"x":"' + b"same " * 10_000 + b'"}')
        assert len(server.values["k"]) < 1_000

    run(story())


def test_what_comes_together_shares_a_round_trip():
    async def story() -> None:
        server = new_server()
        memory = RedisMemory(server, 1)
        await asyncio.gather(*(put(memory, str(n), b"{%d}" % n) for n in range(50)))
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
            await put(memory, "k", b"{}")
        assert server.rounds == 1
        assert not await memory.reachable()
        clock.now += PAUSE_S
        await memory.get("k")
        assert server.rounds == 2
        assert memory.link.outages == 1
        server.away = False
        clock.now += PAUSE_S
        await put(memory, "k", b"{}")
        assert await memory.get("k") == b"{}"
        assert await memory.reachable()

    with caplog.at_level(logging.INFO, "serving.ingest.link"):
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


def test_an_answer_that_cannot_be_leaves_nobody_waiting(caplog):
    async def story() -> None:
        server, clock = new_server(), Clock()
        memory = RedisMemory(server, 1, clock)
        server.wrong = True
        assert await asyncio.gather(*(memory.get("k") for _ in range(3))) == [None] * 3
        await put(memory, "k", b"{}")
        server.wrong = False
        clock.now += PAUSE_S
        await put(memory, "k", b"{}")
        assert await memory.get("k") == b"{}"

    run(story())
    (said,) = [r.message for r in caplog.records if r.levelname == "ERROR"]
    assert said.startswith("a call of Redis failed: ValueError at ")


def test_projects_do_not_share_batch_ids():
    assert batch_key("a", "1") != batch_key("b", "1")
