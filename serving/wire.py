"""One WebSocket's outgoing side: whole frames, one at a time, and never for longer than a while.

simple-websocket writes with one `send`, which may be short (its issues #34 and #45), and answers
pings from another greenlet, so frames could mix. This takes the place of its socket: every write is
whole, under a lock and within `SEND_SECONDS`. Frames are made once and shared by all sockets.
"""

import socket as sockets
import struct
import time
from typing import Any, Final

import gevent
from gevent.event import Event
from gevent.lock import RLock
from simple_websocket import ConnectionClosed

from telemetry import metrics

SEND_SECONDS: Final = 10.0  # one write may take so long; then the socket is given up
PING_SECONDS: Final = 25.0
SILENT_SECONDS: Final = 70.0  # nothing heard for so long, pongs included: gone
_PING: Final = b"\x89\x00"
_GONE: Final = 1006


def text_frame(payload: bytes) -> bytes:
    """A whole unfragmented text message as a server sends it (RFC 6455, 5.2)."""
    size = len(payload)
    if size < 126:
        return struct.pack("!BB", 0x81, size) + payload
    if size < 65_536:
        return struct.pack("!BBH", 0x81, 126, size) + payload
    return struct.pack("!BBQ", 0x81, 127, size) + payload


class Wire:
    """Stands in for the socket of a `simple_websocket.Server` whose events are gevent's."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self._sock = server.sock
        self._lock = RLock()
        self.sent = 0  # bytes
        self._heard = self._pinged = time.monotonic()
        server.sock = self

    def send(self, data: bytes) -> int:
        """Write all of `data`. Raises ConnectionClosed when the other side does not take it."""
        try:
            with gevent.Timeout(SEND_SECONDS), self._lock:
                self._sock.sendall(data)
        except (gevent.Timeout, OSError):
            self.abort()
            raise ConnectionClosed(_GONE, "cannot be written to") from None
        self.sent += len(data)
        metrics.SERVICE_LIVE_MESSAGES.inc()
        metrics.SERVICE_LIVE_BYTES.add(len(data))
        return len(data)

    def recv(self, size: int) -> bytes:
        """What came; for simple-websocket's greenlet."""
        data: bytes = self._sock.recv(size)
        self._heard = time.monotonic()
        return data

    def close(self) -> None:
        """For simple-websocket's greenlet, at its end."""
        self._sock.close()

    def abort(self) -> None:
        """Give the connection up, whatever was half written."""
        self._server.connected = False
        try:
            self._sock.shutdown(sockets.SHUT_RDWR)
        except OSError:
            return

    def receive(self) -> str | bytes | None:
        """A message that has come, or None. Raises ConnectionClosed."""
        message: str | bytes | None = self._server.receive(timeout=0)
        return message

    def wait(self, other: Event | None, seconds: float) -> None:
        """Until something came in, `other` is set, or so many seconds have passed."""
        events = [self._server.event] if other is None else [self._server.event, other]
        gevent.wait(events, timeout=seconds, count=1)

    def keep_alive(self) -> None:
        """Ping when it is time. Raises ConnectionClosed when nothing was heard for long."""
        now = time.monotonic()
        if now - self._heard > SILENT_SECONDS:
            self.abort()
            raise ConnectionClosed(_GONE, "silent")
        if now - self._pinged >= PING_SECONDS:
            self._pinged = now
            self.send(_PING)
