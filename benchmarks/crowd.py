"""Thousands of dashboards in one process: bare WebSocket clients that note when news arrives.

A frame's news is the last number of its `page_views`, which the benchmark counts up. Nothing else
of it is parsed, so that the clients take little of the machine from the service.
"""

import asyncio
import json
import socket
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

import uvloop

from benchmarks.piped import Piped

START: Final = 60.0  # seconds
PATIENCE: Final = 120.0  # seconds for one command
OPENING: Final = 250  # connections being opened at once
SMALL: Final = 4_096  # bytes that the system keeps for one that will not read
NAP: Final = 5.0  # seconds that a slow one does not read
GLANCE: Final = 0.05  # seconds that it does
_MARK: Final = b'"page_views":['
_AS_OF: Final = b'"as_of":'
_TICKET: Final = b'{"type":"ticket"'
_PONG: Final = b"\x8a\x80\x00\x00\x00\x00"
_TEXT, _CLOSE, _PING = 1, 8, 9

Filter = dict[str, str]


class Crowd(Piped):
    """The process. `quiet` of the clients can be told to read slowly, or not at all."""

    def __init__(self, port: int, key: str, filters: Sequence[Filter], quiet: int) -> None:
        super().__init__("the crowd", START, _main, port, key, list(filters), quiet)

    def ask(self, *command: Any) -> Any:
        """What it says to a command of `_People`. Raises RuntimeError."""
        self.tell(*command)
        return self.answer()

    def tell(self, *command: Any) -> None:
        """Give a command, whose `answer` is fetched later."""
        self._pipe.send(command)

    def answered(self) -> bool:
        """Whether it is there."""
        return bool(self._pipe.poll())

    def answer(self) -> Any:
        """Wait for it. Raises RuntimeError."""
        return self._reply(PATIENCE)


class _Client(asyncio.Protocol):
    """One socket. `quiet` ones do not count in the times."""

    def __init__(self, people: "_People", chosen: Filter, quiet: bool, ticket: str) -> None:
        self._people = people
        self._ticket = ticket
        self._chosen = chosen
        self.quiet = quiet
        self._data = bytearray()
        self._upgraded = False
        self._nap: asyncio.TimerHandle | None = None
        self.back = ""  # a ticket to come back with
        self.opened = time.time()
        self.news = -1
        self.ready: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(
            b"GET /v1/live?ticket=" + self._ticket.encode() + b" HTTP/1.1\r\n"
            b"Host: 127.0.0.1\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )

    def data_received(self, data: bytes) -> None:
        self._data += data
        if not self._upgraded:
            head, found, rest = self._data.partition(b"\r\n\r\n")
            if not found:
                return
            if not head.startswith(b"HTTP/1.1 101"):
                self._people.fail(bytes(head[:200]).decode("latin-1"))
                self.transport.abort()
                return
            self._upgraded = True
            self._data = rest
            self.transport.write(_masked(self._people.wish(self._chosen)))
        while (frame := _frame(self._data)) is not None:
            kind, start, end = frame
            if kind == _TEXT:
                self._read(bytes(self._data[start:end]))
            elif kind == _PING:
                self.transport.write(_PONG)
            elif kind == _CLOSE:
                self._people.fail(f"closed: {bytes(self._data[start:end])!r}")
            del self._data[:end]

    def connection_lost(self, exc: Exception | None) -> None:
        self._people.gone(self)
        if not self.ready.done():
            self.ready.set_result(False)

    def _read(self, text: bytes) -> None:
        if text.startswith(_TICKET):
            self.back = str(json.loads(text)["ticket"])
            return
        if not self._people.heard(self._chosen, text):
            return
        first = not self.ready.done()
        if first:
            self._people.first.append(time.time() - self.opened)
            self.ready.set_result(True)
        at = text.rfind(_MARK)
        end = text.find(b"]", at)
        if at < 0 or end == at + len(_MARK):
            return
        news = int(text[max(at + len(_MARK), text.rfind(b",", at, end) + 1) : end])
        if news > self.news:
            self.news = news
            if not self.quiet and not first:  # that one may have been written before it came
                self._people.arrived[news].append(time.time())

    def stop_reading(self) -> None:
        """For ever."""
        self.transport.pause_reading()

    def read_slowly(self) -> None:
        """A glance every few seconds."""
        loop = asyncio.get_running_loop()
        self.transport.pause_reading()
        self._nap = loop.call_later(NAP, self._glance)

    def _glance(self) -> None:
        if not self.transport.is_closing():
            self.transport.resume_reading()
            self._nap = asyncio.get_running_loop().call_later(GLANCE, self.read_slowly)

    def cut(self) -> None:
        """Without a word."""
        if self._nap is not None:
            self._nap.cancel()
        self.transport.abort()


class _People:
    """All clients. Its public methods are the commands."""

    def __init__(self, port: int, key: str, filters: list[Filter], quiet: int) -> None:
        self._port = port
        self._key = key
        self._as_of: dict[str, float] = {}
        self._back = False
        self._tickets: list[str] = []  # of those that were cut
        self._filters = filters
        self._quiet = quiet
        self._clients: set[_Client] = set()
        self._lost: dict[bool, int] = {False: 0, True: 0}  # by whether it was a quiet one
        self._cutting = False
        self._said: dict[str, int] = defaultdict(int)
        self.arrived: dict[int, list[float]] = defaultdict(list)
        self.first: list[float] = []

    async def open(self, count: int) -> dict[str, Any]:
        """So many clients; when all have their first message, how long each waited for it."""
        self.first.clear()
        began = time.time()
        room = asyncio.Semaphore(OPENING)
        good = await asyncio.gather(*(self._open(number, room) for number in range(count)))
        return {"took": time.time() - began, "ready": sum(good), "waits": self.first}

    async def misbehave(self, dead: int) -> None:
        """The quiet ones read slowly from now on, the first `dead` of them not at all."""
        quiet = [client for client in self._clients if client.quiet]
        for number, client in enumerate(quiet):
            if number < dead:
                client.stop_reading()
            else:
                client.read_slowly()

    async def cut(self) -> None:
        """All at once."""
        self._cutting = True
        self._tickets = [client.back for client in self._clients if client.back]
        for client in list(self._clients):
            client.cut()
        while self._clients:
            await asyncio.sleep(0.01)
        self._cutting = False
        self._back = True

    async def times(self) -> dict[int, list[float]]:
        """When each piece of news arrived, at every client that reads; then forgotten."""
        found = dict(self.arrived)
        self.arrived.clear()
        return found

    async def state(self) -> dict[str, Any]:
        """What all have been shown, how many were lost without being cut, and what was said."""
        latest = [client.news for client in self._clients if not client.quiet]
        return {
            "least_news": min(latest, default=-1),
            "lost": self._lost[False],
            "quiet_lost": self._lost[True],
            "said": dict(self._said),
        }

    def heard(self, chosen: Filter, text: bytes) -> bool:
        """Remember of when the numbers of a filter are. Whether it was numbers that came."""
        start = text.find(_AS_OF)
        if start < 0:  # an announcement or an error
            self.fail(text[:200].decode())
            return False
        start += len(_AS_OF)
        self._as_of[chosen["country"]] = float(text[start : text.index(b",", start)])
        return True

    def wish(self, chosen: Filter) -> bytes:
        """A subscribe message; who comes back asks for what came since, as the dashboard does."""
        wish: dict[str, Any] = {"type": "subscribe", "filter": chosen, "tickets": True}
        if self._back:
            wish["since"] = self._as_of[chosen["country"]]
        return json.dumps(wish, separators=(",", ":")).encode()

    def fail(self, why: str) -> None:
        """Something that was not asked for."""
        self._said[why] += 1

    def gone(self, client: _Client) -> None:
        """A connection ended."""
        self._clients.discard(client)
        self._lost[client.quiet] += not self._cutting

    async def _open(self, number: int, room: asyncio.Semaphore) -> bool:
        chosen = self._filters[number % len(self._filters)]
        quiet = number < self._quiet
        async with room:
            ticket = self._tickets.pop() if self._tickets else await self._buy()
            plug = socket.socket()
            plug.setblocking(False)
            if quiet:
                plug.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(plug, ("127.0.0.1", self._port))
            client = _Client(self, chosen, quiet, ticket)
            self._clients.add(client)
            await loop.create_connection(lambda: client, sock=plug)
            return await client.ready

    async def _buy(self) -> str:
        """A ticket, as a browser that has none gets it: on a connection of its own."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(
            b"POST /v1/tickets HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n"
            b"Connection: close\r\nX-Read-Key: " + self._key.encode() + b"\r\n\r\n"
        )
        answer = await reader.read()
        writer.close()
        head, _, body = answer.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 201"):
            raise RuntimeError(head[:200].decode("latin-1"))
        return str(json.loads(body)["ticket"])


def _frame(data: bytearray) -> tuple[int, int, int] | None:
    """Opcode, start and end of the payload of the first frame; None while it is not all there."""
    if len(data) < 2:
        return None
    size, start = data[1], 2
    if size == 126:
        size, start = int.from_bytes(data[2:4], "big"), 4
    elif size == 127:
        size, start = int.from_bytes(data[2:10], "big"), 10
    return (data[0] & 15, start, start + size) if len(data) >= start + size else None


def _masked(payload: bytes) -> bytes:
    """A short text frame (under 126 bytes) of a client, with a mask of zeros."""
    return bytes((0x81, 0x80 | len(payload))) + bytes(4) + payload


async def _serve(people: _People, pipe: Any) -> None:
    """Commands until the pipe is closed. Its ends block, so a thread waits for them."""
    await asyncio.to_thread(pipe.send, ())
    while True:
        name, *arguments = await asyncio.to_thread(pipe.recv)
        answer = await getattr(people, name)(*arguments)
        await asyncio.to_thread(pipe.send, answer)


def _main(port: int, key: str, filters: list[Filter], quiet: int, pipe: Any) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(_People(port, key, filters, quiet), pipe))
