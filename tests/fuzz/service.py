"""Target: the real query service, its query strings and its WebSocket's frames.

Every HTTP answer is below 500 with a declared code (or the server's own refusal of a head), every
socket ends with a close frame or a closed connection, and a good question is answered afterwards.
"""

import base64
import json
import random
import socket
import struct
from collections.abc import Callable
from typing import Final
from urllib.parse import quote_from_bytes

from events.reasons import REQUEST_ERRORS
from tests.fuzz.mutate import flip, mutate
from tests.fuzz.report import Violation

KEY: Final = "demo-read-key"
SECONDS: Final = 5.0
SUBSCRIBE: Final = b'{"type": "subscribe", "filter": {"country": "US"}}'

PATHS: Final[tuple[bytes, ...]] = (
    *(b"/v1/metrics", b"/v1/metrics", b"/v1/metrics", b"/v1/breakdown", b"/v1/breakdown", b"/"),
    *(b"/v1/openapi.json", b"/v1/config", b"/healthz", b"/readyz", b"/v1/live", b"/metrics"),
    *(b"/v1/access", b"/v1/keys", b"/v1/tickets", b"/v1/shares", b"/v1/live?ticket=x"),
    *(b"/static/app.js", b"/static/../app.py", b"/static/%2e%2e/app.py", b"/static/", b"//v1/live"),
    *(b"/v1/metrics/", b"/v1/%00", b"/%ff", b"/static/vendor", b"/..", b"/static/%00", b"/a" * 500),
)
VALUES: Final[dict[bytes, tuple[bytes, ...]]] = {
    b"start": (
        *(
            b"-24h",
            b"now",
            b"0",
            b"-999999w",
            b"2026-01-01T00:00:00Z",
            b"0001-01-01",
            b"99999999999",
        ),
        *(b"9999-12-31T23:59:59-23:59", b"0001-01-01T00:00:00+23:59", b"-1", b"1e9", b"", b"-0s"),
        *(b"2026-W01-1", b"20260101T00", b"2026-02-30", "١٢".encode(), b"4102444800", b"NaN"),
    ),
    b"end": (
        b"now",
        b"-1h",
        b"0",
        b"60",
        b"4102444800",
        b"9999-12-31T23:59:59+00:00",
        b"0001-01-01",
    ),
    b"granularity": (b"1m", b"1h", b"1d", b"total", b"auto", b"", b"1s", b"1M"),
    b"timezone": (
        *(
            b"UTC",
            b"Europe/Berlin",
            b"Pacific/Kiritimati",
            b"",
            b"Europe",
            b"../etc/passwd",
            b"posix",
        ),
        *(b"/etc/localtime", b"Etc/GMT+12", b"leapseconds", b"right/UTC", b"America/", b"a" * 300),
    ),
    b"metrics": (
        b"events",
        b"unique_users,active_users",
        b"conversion",
        b"",
        b",,",
        b"revenue,bots",
    ),
    b"filter": (
        *(
            b"country:US",
            b"country:US,country:CA,device:mobile",
            b"category:a,b",
            b"country:",
            b":",
        ),
        *(b"category:\x00", b"category:%", b"category:\xff", b"x:y", b"country", b"," * 200),
        *(
            b"category:" + b"x" * 200,
            b",".join(b"country:%d" % n for n in range(60)),
            b"country:US,",
        ),
        *("category:😀".encode(), b"category:'; DROP TABLE events --", b"category:{p:String}"),
    ),
    b"dimensions": (b"country", b"country,device,category", b"type", b"", b"type,country", b"x"),
    b"dimension": (b"country", b"device", b"type", b"page", b"", b"category", b"x"),
    b"limit": (b"1", b"500", b"501", b"0", b"-1", b"1e2", b"", b"99999999999999999999"),
    b"order": (b"events", b"revenue:asc", b"events:", b"x", b"bots:desc", b":asc"),
    b"compare": (b"previous_period", b"yesterday", b"last_week", b"", b"x"),
    b"key": (KEY.encode(), b"", b"\xff", b"x" * 3_000),
    b"\x00": (b"1",),
}


class ServiceTarget:
    """Cases against a service at a port of 127.0.0.1."""

    def __init__(self, port: int) -> None:
        self.port = port

    def case(self, rng: random.Random, index: int) -> str:
        """One question, or one socket."""
        if index % 20 == 0:
            self.still_works()
        live = rng.random() < 0.4
        sent = _socket(rng) if live else [_question(rng)]
        data = b"".join(sent)
        try:
            found = self._exchange(sent, live)
        except TimeoutError:
            raise Violation("no answer and no close", data) from None
        return _live(found, data) if live else _outcome(found, data)

    def still_works(self) -> None:
        """A good question."""
        data = b"GET /v1/metrics?start=-1h&end=now HTTP/1.1\r\nHost: x\r\nX-Read-Key: %b\r\n"
        data = data % KEY.encode() + b"Connection: close\r\n\r\n"
        found = self._exchange([data], live=False)
        if not found.startswith(b"HTTP/1.1 200 "):
            raise Violation(f"a good question is answered {found[:200]!r}", data)

    def _exchange(self, sent: list[bytes], live: bool) -> bytes:
        """All that comes until the service closes; it does, since we end our side."""
        found = b""
        with socket.create_connection(("127.0.0.1", self.port), timeout=SECONDS) as link:
            try:
                for part in sent:
                    link.sendall(part)
                if live:
                    link.shutdown(socket.SHUT_WR)
                while more := link.recv(65_536):
                    found += more
                    if len(found) > 20_000_000:
                        raise Violation("an answer without end", b"".join(sent))
            except TimeoutError:
                raise
            except OSError:  # closed while we still send
                return found
        return found


def _outcome(found: bytes, data: bytes) -> str:
    """The declared code of an HTTP answer, or what it is instead."""
    top, _, body = found.partition(b"\r\n\r\n")
    line = top.split(b"\r\n", 1)[0].split(b" ", 2)
    if not found:
        return "closed without an answer"
    if len(line) < 2 or not line[1].isdigit():
        raise Violation(f"not HTTP: {found[:100]!r}", data)
    status = int(line[1])
    if status < 400:
        return f"status {status}"
    if b"text/html" in top.lower() and status < 500:
        return f"gunicorn {status}"  # a head that is no HTTP never reaches the application
    try:
        code = str(json.loads(body)["error"]["code"]) if body else f"status {status}"
    except (ValueError, KeyError, TypeError):
        raise Violation(f"status {status} without an envelope: {found[:300]!r}", data) from None
    known = REQUEST_ERRORS.get(code)
    if status >= 500 or (body and (known is None or known.status != status)):
        raise Violation(f"status {status}: {body[:200]!r}", data)
    return code


def _live(found: bytes, data: bytes) -> str:
    """How a socket ended."""
    if not found.startswith(b"HTTP/1.1 101 "):
        return _outcome(found, data)
    frames = found.partition(b"\r\n\r\n")[2]
    code = "no close frame"
    while len(frames) >= 2:
        kind, size = frames[0] & 15, frames[1] & 127
        at = 2
        if size > 125:
            at, form = (4, "!H") if size == 126 else (10, "!Q")
            if len(frames) < at:
                break
            (size,) = struct.unpack(form, frames[2:at])
        payload, frames = frames[at : at + size], frames[at + size :]
        if kind == 8:
            code = f"closed {struct.unpack('!H', payload[:2])[0]}" if len(payload) > 1 else "closed"
        elif kind not in (1, 9, 10):
            raise Violation(f"a frame of kind {kind}", data)
        if kind == 1 and len(payload) == size:
            json.loads(payload)
    if code == "closed 1011":
        raise Violation("the socket ended by an error of ours", data)
    return code


def _question(rng: random.Random) -> bytes:
    path = rng.choice(PATHS) if rng.random() < 0.4 else rng.choice(PATHS[:5])
    pairs = []
    for name in rng.sample(sorted(VALUES), rng.randint(0, 5)):
        value = rng.choice(VALUES[name])
        if rng.random() < 0.15:
            value = mutate(rng, value, 1)[:3_000]
        pairs.append(quote_from_bytes(name).encode() + b"=" + quote_from_bytes(value).encode())
        if rng.random() < 0.05:
            pairs.append(pairs[-1])
    query = b"&".join(pairs)
    if rng.random() < 0.1:
        query = flip(rng, query).translate(None, b" \r\n")
    method = (
        b"GET" if rng.random() < 0.9 else rng.choice((b"POST", b"HEAD", b"PUT", b"TRACE", b"X"))
    )
    key = b"" if rng.random() < 0.1 else b"X-Read-Key: " + KEY.encode() + b"\r\n"
    more = b"" if rng.random() < 0.9 else rng.choice(_HEADERS)
    line = method + b" " + path + b"?" + query + b" HTTP/1.1\r\nHost: x\r\n"
    return line + key + more + b"Connection: close\r\n\r\n"


_HEADERS: Final = (
    *(b"X-Read-Key: \xff\r\n", b"Host: \r\n", b"Accept: */*;q=9\r\n", b"Range: bytes=9-1\r\n"),
    *(
        b"If-Modified-Since: x\r\n",
        b"If-None-Match: \xff\r\n",
        b"Content-Length: 0\r\n",
        b"A: b\r\n" * 99,
    ),
    *(b"Cookie: \x01\r\n", b"Upgrade: websocket\r\n", b"Content-Type: multipart/form-data\r\n"),
)


def upgrade(*more: bytes, key: bytes = base64.b64encode(bytes(16))) -> bytes:
    """The head that opens a WebSocket."""
    lines = (b"GET /v1/live HTTP/1.1", b"Host: x", b"Upgrade: websocket", b"Connection: Upgrade")
    rest = (b"Sec-WebSocket-Key: " + key, b"Sec-WebSocket-Version: 13", *more)
    return b"\r\n".join((*lines, b"X-Read-Key: " + KEY.encode(), *rest)) + b"\r\n\r\n"


def frame(
    payload: bytes, first: int = 0x81, *, masked: bool = True, size: int | None = None
) -> bytes:
    """A frame as a client sends it, or one that is wrong."""
    said = len(payload) if size is None else size
    flag = 0x80 if masked else 0
    if said < 126:
        top = struct.pack("!BB", first, flag | said)
    elif said < 65_536:
        top = struct.pack("!BBH", first, flag | 126, said)
    else:
        top = struct.pack("!BBQ", first, flag | 127, said)
    return top + (bytes(4) if masked else b"") + payload


def _socket(rng: random.Random) -> list[bytes]:
    if rng.random() < 0.15:
        return [rng.choice(_HANDSHAKES)(rng)]
    parts = [upgrade(*rng.choice(((), (), (b"Sec-WebSocket-Extensions: permessage-deflate",))))]
    if rng.random() < 0.4:
        parts.append(frame(SUBSCRIBE))
    for _ in range(rng.randint(1, 4)):
        parts.append(rng.choice(_FRAMES)(rng))
    return parts


_HANDSHAKES: Final[tuple[Callable[[random.Random], bytes], ...]] = (
    lambda rng: flip(rng, upgrade()[:-4]) + b"\r\n\r\n",
    lambda rng: upgrade(key=rng.randbytes(9).hex().encode()),
    lambda _: upgrade(b"Sec-WebSocket-Version: 99"),
    lambda _: upgrade(b"Origin: https://evil.example"),
    lambda _: upgrade(b"Sec-WebSocket-Extensions: " + b"permessage-deflate; x=1, " * 100 + b"x"),
    lambda _: upgrade().replace(b"Upgrade: websocket", b"Upgrade: h2c"),
    lambda _: upgrade().replace(b"Sec-WebSocket-Key", b"Sec-WebSocket-Kez"),
    lambda _: upgrade().replace(b"GET", b"POST", 1),
    lambda _: b"GET /v1/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
)
_FRAMES: Final[tuple[Callable[[random.Random], bytes], ...]] = (
    lambda rng: frame(mutate(rng, SUBSCRIBE)[:60_000]),
    lambda rng: frame(mutate(rng, SUBSCRIBE, 1)[:4_000], masked=rng.random() < 0.5),
    lambda rng: flip(rng, frame(SUBSCRIBE)),
    lambda rng: frame(b"x" * 50, size=rng.choice((2**63, 2**63 - 1, 2**32, 70_000, 60))),
    lambda rng: frame(b'{"type":', 0x01) + frame(b'"x"}', rng.choice((0x80, 0x00, 0x81, 0x89))),
    lambda rng: frame(b"a" * 100, 0x01) + frame(b"a" * 100, 0x00) * rng.choice((3, 60)),
    lambda _: frame(b"\xff\xfe\xed\xa0\x80"),
    lambda rng: frame(rng.randbytes(20), rng.choice((0x80, 0x82, 0x83, 0x8B, 0xC1, 0xF1, 0x0F))),
    lambda rng: frame(rng.randbytes(rng.choice((0, 125, 126))), rng.choice((0x89, 0x8A, 0x09))),
    lambda rng: frame(
        rng.choice((b"", b"\x03", b"\x03\xe8ok", b"\x00\x00", b"\x03\xe8\xff")), 0x88
    ),
    lambda rng: rng.randbytes(rng.randint(1, 300)),
    lambda _: frame(b'{"type":"subscribe","filter":{"country":1}}'),
    lambda _: frame(b'{"type":"subscribe","filter":{"category":"\\ud800"}}'),
    lambda _: frame(b"[" * 3_900),
    lambda _: frame(b'{"type":"subscribe","filter":[]}') + frame(b"1") + frame(b"null"),
)
