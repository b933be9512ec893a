"""The collector's leases: few calls, the same limit, and life without Redis."""

import asyncio
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from serving.ingest import leases as module
from serving.ingest.leases import SLICE_S, Leases
from serving.ingest.link import PAUSE_S, Link
from serving.limits import MICRO, Limit
from telemetry.metrics import COLLECTOR
from tests.unit.serving.counting import AsyncCountingServer, Clock
from tests.unit.telemetry.samples import value

RULE = Limit("collector", "requests_per_ip", 40, 100)
SLICE = int(RULE.rate * SLICE_S)


def new_server(clock: Clock) -> Any:
    return AsyncCountingServer(clock)


class World:
    """Some collectors and one Redis."""

    def __init__(self, processes: int = 1) -> None:
        self.clock = Clock()
        self.redis = new_server(self.clock)
        self.link = Link(1, self.clock)
        self.all = [Leases(self.redis, self.link, self.clock) for _ in range(processes)]

    @property
    def calls(self) -> list[int]:
        calls: list[int] = self.redis.server.calls
        return calls

    async def take(
        self, cost: int = 1, who: str = "w", process: int = 0, rule: Limit = RULE
    ) -> int:
        return await self.all[process].take(rule, who, cost)

    async def stop(self) -> None:
        for leases in self.all:
            await leases.stop()


def run(coroutine: Any) -> Any:
    return asyncio.run(asyncio.wait_for(coroutine, 20))


def test_most_requests_cost_no_call():
    async def story() -> None:
        world = World()
        waits = [await world.take() for _ in range(100)]
        assert waits == [0] * 100
        assert len(world.calls) == 100 / SLICE
        assert await world.take() == MICRO / RULE.rate
        await world.stop()

    run(story())


def test_what_is_short_in_one_turn_goes_in_one_call():
    async def story() -> None:
        world = World()
        waits = await asyncio.gather(*(world.take(who=str(n % 30)) for n in range(90)))
        assert waits == [0] * 90
        assert world.calls == [30]
        many = module.ROUND + 5
        await asyncio.gather(*(world.take(who=f"m{n}") for n in range(many)))
        assert world.calls == [30, module.ROUND, 5]

    run(story())


def test_a_crowd_on_one_bucket_gets_what_there_is():
    async def story() -> None:
        world = World()
        waits = await asyncio.gather(*(world.take() for _ in range(130)))
        assert waits.count(0) == 100
        assert world.calls == [1]
        large, small = await asyncio.gather(world.take(50), world.take(1))
        assert large > small > 0
        world.clock.now += 1.5 / RULE.rate
        large, small = await asyncio.gather(world.take(50), world.take(1))
        assert large > small == 0

    run(story())


def test_a_refusal_is_remembered_until_its_time_and_no_longer():
    async def story() -> None:
        world = World()
        assert await world.take(100) == 0
        wait = await world.take(10)
        assert wait == 10 * MICRO / RULE.rate
        calls = len(world.calls)
        for _ in range(1_000):
            assert await world.take(10) == wait
        assert await world.take(20) == 2 * wait
        assert len(world.calls) == calls
        world.clock.now += wait / MICRO
        assert await world.take(10) == 0

    run(story())


def test_a_smaller_one_may_pass_where_a_larger_did_not():
    async def story() -> None:
        world = World()
        assert await world.take(95) == 0
        assert await world.take(50) > 0
        assert await world.take(5) == 0

    run(story())


STEPS = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.01, 0.1, 1.0]), st.integers(0, 2), st.integers(1, 60)
    ),
    max_size=60,
)  # fmt: skip


@given(STEPS, st.integers(1, 40))
def test_processes_together_let_pass_no_more_than_the_limit_and_their_slices(steps, rate):
    async def story() -> None:
        world = World(processes=3)
        rule = Limit("collector", "events_per_key", rate, 100, "events")
        passed = []
        for pause, process, cost in steps:
            world.clock.now += pause
            wait = await world.take(cost, process=process, rule=rule)
            if wait == 0:
                passed.append((world.clock.now, cost))
        slices = 3 * max(1, int(rate * SLICE_S))
        for i, (since, _) in enumerate(passed):
            total = 0
            for until, cost in passed[i:]:
                total += cost
                assert total <= rule.burst + rule.rate * (until - since) + slices + 1e-6
        await world.stop()

    run(story())


@given(STEPS)
def test_a_wait_is_honest_when_nobody_else_takes(steps):
    async def story() -> None:
        world = World()
        for pause, _, cost in steps:
            world.clock.now += pause
            wait = await world.take(cost)
            if wait:
                world.clock.now += (wait + 1) / MICRO  # the clocks here are floats
                assert await world.take(cost) == 0
        await world.stop()

    run(story())


def test_without_redis_a_process_counts_alone_and_as_much():
    async def story() -> None:
        world = World()
        world.redis.server.away = True
        before = value(COLLECTOR, "limits_local_total")
        waits = [await world.take() for _ in range(120)]
        assert waits.count(0) == 100
        assert len(world.calls) == 1
        assert value(COLLECTOR, "limits_local_total") - before == 120
        world.clock.now += PAUSE_S
        assert [await world.take() for _ in range(50)].count(0) == 40
        assert len(world.calls) == 2
        world.redis.server.away = False
        world.clock.now += PAUSE_S
        assert await world.take() == 0
        assert world.link.outages == 1

    run(story())


def test_it_works_with_no_redis_at_all():
    async def story() -> None:
        leases = Leases(clock=Clock())
        assert [await leases.take(RULE, "w", 1) for _ in range(101)].count(0) == 100
        await leases.stop()

    run(story())


def test_a_client_that_is_gone_pays_nothing():
    async def story() -> None:
        world = World()
        world.redis.hold = asyncio.Event()
        gone = asyncio.create_task(world.take(100))
        stays = asyncio.create_task(world.take(100))
        await asyncio.sleep(0.01)
        gone.cancel()
        world.redis.hold.set()
        assert await stays == 0

    run(story())


def test_who_comes_during_a_call_waits_for_the_next():
    async def story() -> None:
        world = World()
        world.redis.hold = asyncio.Event()
        first = asyncio.create_task(world.take())
        await asyncio.sleep(0.01)
        later = [asyncio.create_task(world.take()) for _ in range(120)]
        await asyncio.sleep(0.01)
        world.redis.hold.set()
        assert await first == 0
        waits = await asyncio.gather(*later)
        assert waits.count(0) == 99
        assert world.calls == [1, 1]

    run(story())


def test_leases_are_bounded(monkeypatch):
    async def story() -> None:
        world = World()
        for n in range(60):
            await world.take(who=str(n))
        assert len(world.all[0]) == 50
        calls = len(world.calls)
        await world.take(who="59")
        assert len(world.calls) == calls
        await world.take(who="0")
        assert len(world.calls) == calls + 1

    monkeypatch.setattr(module, "MAX_LEASES", 50)
    run(story())
