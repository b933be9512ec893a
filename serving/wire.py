"""One WebSocket's connection: whole frames, one at a time, and one greenlet for both directions.

simple-websocket writes with one `send`, which may be short (its issues #34 and #45), and reads in a
thread of its own, which answers pings, so frames could mix. `Wire` takes the place of its socket
and of that thread (`NoThread`): every write is whole, under a lock and within `SEND_SECONDS`.
Frames are made once and shared by all sockets; to those that take them at once they are written by
the greenlet that made them (`push`), so that the socket's own sleeps while all goes well.
"""

import os
import socket as sockets
import struct
import time
from typing import Any, Final

import gevent
from gevent.event import Event
from gevent.lock import RLock
from simple_websocket import ConnectionClosed
from wsproto.utilities import LocalProtocolError

from telemetry import metrics

SEND_SECONDS: Final = 10.0  # one write may take so long; then the socket is given up
PING_SECONDS: Final = 40.0
SILENT_SECONDS: Final = 100.0  # nothing heard for so long, pongs included: gone
_PING: Final = b"\x89\x00"
_GONE: Final = 1006
_READABLE: Final = 1  # to libev
_RECEIVE: Final = 4_096  # bytes at once
_HELD: Final = 131_072  # bytes that the system holds (twice) for one that does not read


def text_frame(payload: bytes) -> bytes:
    """A whole unfragmented text message as a server sends it (RFC 6455, 5.2)."""
    size = len(payload)
    if size < 126:
        return struct.pack("!BB", 0x81, size) + payload
    if size < 65_536:
        return struct.pack("!BBH", 0x81, 126, size) + payload
    return struct.pack("!BBQ", 0x81, 127, size) + payload


def payload_of(frame: bytes) -> bytes:
    """What is in a frame of `text_frame`."""
    return frame[{126: 4, 127: 10}.get(frame[1], 2) :]


def count(frames: int, size: int) -> None:
    """Note that so many frames, of so many bytes in all, were written."""
    metrics.SERVICE_LIVE_MESSAGES.add(frames)
    metrics.SERVICE_LIVE_BYTES.add(size)


class NoThread:
    """simple-websocket's `thread_class`: reading is the matter of `Wire.receive`."""

    def __init__(self, target: object) -> None:
        self.name = ""

    def start(self) -> None:
        """There is nothing to start."""


class Wire:
    """Stands in for the socket of a `simple_websocket.Server` without a thread.

    `event` is set when there is something to do for the greenlet that `wait`s.
    """

    def __init__(self, server: Any) -> None:
        self._server = server
        self._sock = server.sock
        self._sock.setsockopt(sockets.SOL_SOCKET, sockets.SO_SNDBUF, _HELD)
        self.event: Event = server.event
        self._readable = gevent.get_hub().loop.io(self._sock.fileno(), _READABLE)
        self._lock = RLock()
        self._rest = b""  # of a frame that was written in part
        self.sent = 0  # bytes
        self._heard = self._pinged = time.monotonic()
        server.sock = self

    def send(self, data: bytes) -> int:
        """Write all of `data`. Raises ConnectionClosed when the other side does not take it."""
        self._write(data)
        self.sent += len(data)
        count(1, len(data))
        return len(data)

    def push(self, frame: bytes) -> bool:
        """Write a frame without waiting, if nothing else is being written; False: it was not.

        What the system does not take of it at once is left to `flush`, for which `event` is set.
        Costs one system call; the caller counts the frame.
        """
        if self._rest or self._lock.locked():
            return False
        try:
            size = os.write(self._sock.fileno(), frame)
        except OSError:  # full, or gone, which the socket's own greenlet finds out
            return False
        self.sent += len(frame)
        if size < len(frame):
            self._rest = frame[size:]
            self.event.set()
        return True

    def flush(self) -> None:
        """Write what `push` could not. Raises ConnectionClosed."""
        if self._rest:
            self._write(b"")

    def _write(self, data: bytes) -> None:
        try:
            with gevent.Timeout(SEND_SECONDS), self._lock:
                rest, self._rest = self._rest, b""
                self._sock.sendall(rest + data if rest else data)
        except (gevent.Timeout, OSError):
            self.abort()
            raise ConnectionClosed(_GONE, "cannot be written to") from None

    def abort(self) -> None:
        """Give the connection up, whatever was half written."""
        self._server.connected = False
        try:
            self._sock.shutdown(sockets.SHUT_RDWR)
        except OSError:
            return

    def release(self) -> None:
        """At the end of everything: wait for nothing any more, and be no cycle."""
        self._readable.stop()
        self._readable.close()
        self._server.sock = self._sock

    def receive(self) -> str | bytes | None:
        """A message that has come, or None. Raises ConnectionClosed."""
        server = self._server
        if not server.input_buffer:
            self._read()
        if server.input_buffer:
            message: str | bytes = server.input_buffer.pop(0)
            return message
        if not server.connected:
            raise ConnectionClosed(server.close_reason, server.close_message)
        return None

    def _read(self) -> None:
        """What the thread of simple-websocket does with what has come."""
        server = self._server
        try:
            data = os.read(self._sock.fileno(), _RECEIVE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            server.connected = False
            raise ConnectionClosed(_GONE, "gone")
        self._heard = time.monotonic()
        try:
            server.ws.receive_data(data)
            server.connected = server._handle_events()
        except LocalProtocolError:
            server.connected = False

    def wait(self, seconds: float) -> None:
        """Until something came in, `event` is set, or so many seconds have passed."""
        if not self.event.is_set():
            self._readable.start(self.event.set)
            try:
                self.event.wait(seconds)
            finally:
                self._readable.stop()
        self.event.clear()

    def keep_alive(self) -> None:
        """Ping when it is time. Raises ConnectionClosed when nothing was heard for long."""
        now = time.monotonic()
        if now - self._heard > SILENT_SECONDS:
            self.abort()
            raise ConnectionClosed(_GONE, "silent")
        if now - self._pinged >= PING_SECONDS:
            self._pinged = now
            if self.push(_PING):
                count(1, len(_PING))
            else:
                self.send(_PING)
