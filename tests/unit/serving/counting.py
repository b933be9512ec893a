"""Redis as limits use it, in memory and in a time of its own: the model in the script's place."""

import asyncio
from collections.abc import Callable
from typing import Any

from redis.exceptions import ConnectionError as RedisConnectionError

from serving.limits import MICRO, SCRIPT, Ask, Level, Limit, take


class Clock:
    """Seconds; they pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class CountingServer:
    """What the script does; `away` makes it fail. The script itself is run by tests/integration."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.levels: dict[str, Level] = {}
        self.calls: list[int] = []  # how many buckets each was about
        self.away = False
        self.names: set[str] = set()

    def eval(self, script: str, count: int, *rest: Any) -> list[int]:
        assert script == SCRIPT
        self.calls.append(count)
        if self.away:
            raise RedisConnectionError("away")
        now = int(self._clock() * MICRO)
        keys, (size, *numbers) = rest[:count], rest[count:]
        said = [now]
        for first in range(0, count, size):
            names = keys[first : first + size]
            asks = [
                Ask(
                    Limit("p", "s", *numbers[4 * i : 4 * i + 2]),
                    "w",
                    *numbers[4 * i + 2 : 4 * i + 4],
                )
                for i in range(first, first + size)
            ]
            taken, after = take(asks, [self.levels.get(name) for name in names], now)
            self.levels |= {n: level for n, level in zip(names, after, strict=True) if level}
            said += [number for one in taken for number in one]
        return said

    def set(self, name: str, _: Any, *, nx: bool, ex: int) -> bool:
        assert nx
        assert ex > 0
        new = name not in self.names
        self.names.add(name)
        return new

    def __getattr__(self, name: str) -> Any:
        """All else of a Redis client is away."""
        if name == "register_script":
            return lambda text: text

        def call(*_: Any, **__: Any) -> Any:
            raise RedisConnectionError("away")

        return call


class AsyncCountingServer:
    """The same for the collector; `hold` keeps answers back."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.server = CountingServer(clock)
        self.hold: asyncio.Event | None = None

    async def eval(self, script: str, count: int, *rest: Any) -> list[int]:
        await asyncio.sleep(0)
        said = self.server.eval(script, count, *rest)
        if self.hold is not None:
            await self.hold.wait()
        return said

    async def aclose(self) -> None:
        pass
