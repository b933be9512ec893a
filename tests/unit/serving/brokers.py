"""Doubles of the collector's two neighbours, with the same interfaces and no network."""

import asyncio
from collections.abc import Callable
from typing import Any

from events import batch
from serving.ingest.producer import Delivered, Outgoing


class MemoryBroker:
    """`serving.ingest.producer.Broker` in memory; `hold` keeps acknowledgements back."""

    def __init__(self, partitions: int = 4) -> None:
        self.count = partitions
        self.messages: list[Outgoing] = []
        self.down = False
        self.hold = False
        self.held: list[Delivered] = []
        self.stopped = False

    def partitions(self) -> int:
        return self.count

    def send(self, message: Outgoing, delivered: Delivered) -> None:
        if self.hold:
            self.messages.append(message)
            self.held.append(delivered)
        else:
            if not self.down:
                self.messages.append(message)
            asyncio.get_running_loop().call_soon(delivered, not self.down)

    def release(self) -> None:
        """Acknowledge what was held back."""
        held, self.held = self.held, []
        for delivered in held:
            delivered(True)

    async def start(self) -> None:
        pass

    async def reachable(self) -> bool:
        return not self.down

    async def stop(self) -> None:
        self.stopped = True

    def rows(self) -> list[dict[str, Any]]:
        """Every row of every message, decoded."""
        return [
            row
            for message in self.messages
            for row in batch.decode(message.value, hot_only=False)[1].to_pylist()
        ]


class DictMemory:
    """`serving.ingest.memory.Memory` in a dict; `away` makes it know nothing."""

    def __init__(self) -> None:
        self.replies: dict[str, bytes] = {}
        self.away = False
        self.stopped = False

    async def get(self, key: str) -> bytes | None:
        return None if self.away else self.replies.get(key)

    def put(self, key: str, reply: bytes, done: Callable[[], object]) -> None:
        if not self.away:
            self.replies[key] = reply
        done()

    async def reachable(self) -> bool:
        return not self.away

    async def stop(self) -> None:
        self.stopped = True
