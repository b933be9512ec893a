"""Target: the real collector over a socket, with what only bytes on a wire can do.

Damaged heads, chunks that lie, two lengths at once, requests in pieces and in a row, clients that
close half way. Whatever is answered is a declared refusal; nothing inside of
one request is answered as another; and afterwards a good request is taken.
"""

import json
import random
import socket
from collections.abc import Callable
from typing import Final, NamedTuple

from events.reasons import REQUEST_ERRORS
from tests.fuzz import corpus
from tests.fuzz.mutate import flip, mutate, zipped
from tests.fuzz.report import Violation

SECONDS: Final = 5.0  # longest wait for an answer or a close
_HIDDEN: Final = b"GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n"  # answered with 404 if it were seen


class Answer(NamedTuple):
    """One response."""

    status: int
    closing: bool
    body: bytes

    @property
    def code(self) -> str:
        """What it says: a declared code, or its status."""
        if self.status < 400:
            return f"status {self.status}"
        return str(json.loads(self.body)["error"]["code"])


class Shape(NamedTuple):
    """What is sent, and how many answers it may have at most."""

    data: bytes
    answers: int = 1
    good_after: bool = False  # the request that follows must be answered on this connection
    hidden: bool = False  # what is inside must not be answered


def head(
    length: "int | None", *more: bytes, line: bytes = b"POST /v1/events HTTP/1.1", key: bool = True
) -> bytes:
    """A request's head."""
    lines = [
        line,
        b"Host: x",
        b"Content-Type: application/json",
        b"User-Agent: MyServer/2.0",
        *more,
    ]
    if key:
        lines.append(b"X-Write-Key: " + corpus.KEY.encode())
    if length is not None:
        lines.append(b"Content-Length: %d" % length)
    return b"\r\n".join(lines) + b"\r\n\r\n"


def request(body: bytes, *more: bytes) -> bytes:
    """A whole request."""
    return head(len(body), *more) + body


GOOD: Final = request(b'{"events":[{"type":"click","user_id":"u","ts":%d}]}' % corpus.NOW)


class HttpTarget:
    """Cases against a collector at a port of 127.0.0.1."""

    def __init__(self, port: int) -> None:
        self.port = port

    def case(self, rng: random.Random, index: int) -> list[str]:
        """One connection."""
        shape = rng.choice(_SHAPES)(rng)
        pieces = _pieces(rng, shape.data) if rng.random() < 0.2 else [shape.data]
        half_closed = not shape.good_after and rng.random() < 0.7
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=SECONDS) as link:
                found = self._talk(link, shape, pieces, half_closed)
        except Violation as error:
            raise Violation(str(error), shape.data) from None
        if index % 20 == 0:
            self.still_works()
        return [answer.code for answer in found] or ["closed without an answer"]

    def still_works(self) -> None:
        """A good request on a connection of its own."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=SECONDS) as link:
            link.sendall(GOOD)
            answers = _read(link, 1)
        if [answer.status for answer in answers] != [202]:
            raise Violation(f"a good request is answered {answers}", GOOD)

    def _talk(
        self, link: socket.socket, shape: Shape, pieces: list[bytes], half_closed: bool
    ) -> list[Answer]:
        try:
            for piece in pieces:
                link.sendall(piece)
            if shape.good_after:
                link.sendall(GOOD)
            elif half_closed:
                link.shutdown(socket.SHUT_WR)
            else:
                link.settimeout(0.15)  # it may wait for the rest, as it should
        except OSError:
            pass  # closed while we still send: what was answered can be read
        found = _read(link, shape.answers + (1 if shape.good_after else 0))
        for answer in found:
            _check(answer)
        if len(found) > shape.answers + (1 if shape.good_after else 0):
            raise Violation(f"{len(found)} answers to {shape.answers}: {found}")
        if shape.hidden and any(answer.status == 404 for answer in found):
            raise Violation(f"a request inside of another was answered: {found}")
        refused = any(answer.closing for answer in found)
        if shape.good_after and not refused and (not found or found[-1].status != 202):
            raise Violation(f"the good request after it: {found}")
        return found


def _check(answer: Answer) -> None:
    try:
        code = answer.code
    except (ValueError, KeyError, TypeError):
        raise Violation(f"not an answer of ours: {answer}") from None
    declared = code in REQUEST_ERRORS and REQUEST_ERRORS[code].status == answer.status
    overload = code in ("buffer_full", "broker_unavailable")
    if answer.status >= 500 and not overload:
        raise Violation(f"status {answer.status}: {answer.body[:200]!r}")
    if answer.status >= 400 and not declared:
        raise Violation(f"undeclared: {answer}")


def _read(link: socket.socket, most: int) -> list[Answer]:
    """Answers until the connection is closed, or `most` are there and nothing follows."""
    data, found = b"", []
    while True:
        while (parsed := _parse(data)) is not None:
            answer, data = parsed
            if answer.status != 100:
                found.append(answer)
        if len(found) == most:
            link.settimeout(0.02)
        try:
            more = link.recv(65_536)
        except OSError:  # silence, or a reset
            return found
        if not more:
            return found
        data += more


def _parse(data: bytes) -> tuple[Answer, bytes] | None:
    """One response and what follows it. HEAD is never sent, so each has its body."""
    top, end, rest = data.partition(b"\r\n\r\n")
    if not end:
        return None
    line, *lines = top.split(b"\r\n")
    parts = line.split(b" ", 2)
    if not parts[0].startswith(b"HTTP/1.") or not parts[1].isdigit():
        raise Violation(f"not HTTP: {line[:100]!r}")
    fields = dict(text.lower().split(b": ", 1) for text in lines if b": " in text)
    size = int(fields.get(b"content-length", b"0"))
    if len(rest) < size:
        return None
    closing = fields.get(b"connection") == b"close"
    return Answer(int(parts[1]), closing, rest[:size]), rest[size:]


def _pieces(rng: random.Random, data: bytes) -> list[bytes]:
    cuts = sorted(rng.randrange(len(data) + 1) for _ in range(rng.randint(1, 6)))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def _body(rng: random.Random) -> Shape:
    body = mutate(rng, corpus.body(rng)) if rng.random() < 0.8 else corpus.body(rng)
    if rng.random() < 0.2:
        return Shape(request(zipped(rng, body), b"Content-Encoding: gzip"), good_after=True)
    return Shape(request(body), good_after=True)


def _head(rng: random.Random) -> Shape:
    top, _, body = request(corpus.body(rng)).partition(b"\r\n\r\n")
    damaged = flip(rng, top) if rng.random() < 0.5 else mutate(rng, top, 2)[:100_000]
    return Shape(damaged + b"\r\n\r\n" + body, answers=40)


def _chunked(rng: random.Random) -> Shape:
    body = mutate(rng, corpus.body(rng), 1)
    chunks = [b"%x\r\n%s\r\n" % (len(part), part) for part in _pieces(rng, body) if part]
    end = rng.choice((b"0\r\n\r\n", b"0\r\nX: y\r\n\r\n", b"0;a=b\r\n\r\n"))
    return Shape(
        head(None, b"Transfer-Encoding: chunked") + b"".join(chunks) + end, good_after=True
    )


def _lying_chunks(rng: random.Random) -> Shape:
    size = rng.choice(
        (b"-1", b"FFFFFFFFFFFFFFFF", b"FFFFFFFFFFFFFFFFFF", b"7fffffff", b"0x5", b"5 ", b"g", b"")
    )
    tail = rng.choice((b"", b"0\r\n\r\n", _HIDDEN, b"\r\n0\r\n\r\n" + _HIDDEN))
    ends = rng.choice((b"\r\n", b"\n", b"\r", b";" + b"x" * 20_000 + b"\r\n"))
    data = head(None, b"Transfer-Encoding: chunked") + size + ends + b"hello" + tail
    return Shape(data, answers=40)


def _smuggle(rng: random.Random) -> Shape:
    """Two readers of such a head would disagree about where the request ends."""
    body = b"0\r\n\r\n" + _HIDDEN
    more = rng.choice(
        (
            (b"Transfer-Encoding: chunked", b"Content-Length: %d" % len(body)),
            (b"Content-Length: %d" % len(body), b"Transfer-Encoding: chunked"),
            (b"Content-Length: 5", b"Content-Length: %d" % len(body)),
            (b"Content-Length: 5, %d" % len(body),),
            (b"Transfer-Encoding: chunked, identity", b"Content-Length: 5"),
            (b"Transfer-Encoding: xchunked", b"Content-Length: 5"),
            (b"Transfer-Encoding : chunked", b"Content-Length: 5"),
            (b"Transfer-Encoding:\x0bchunked", b"Content-Length: 5"),
            (b"Transfer-Encoding: chunked\r\n Transfer-Encoding: x", b"Content-Length: 5"),
            (b"Content-Length: +%d" % len(body),),
            (b"Content-Length: -1",),
            (b"Content-Length: %d" % 2**65,),
            (b"Content-Length: 0x5",),
        )
    )
    return Shape(head(None, *more) + body, hidden=True)


def _large_head(rng: random.Random) -> Shape:
    more = rng.choice(
        (
            [b"X-A: " + b"a" * rng.choice((8_000, 70_000, 300_000))],
            [b"X-%d: a" % n for n in range(rng.choice((200, 5_000)))],
            [b"X-Forwarded-For: " + b"1.2.3.4," * 2_000],
            [b"User-Agent: " + rng.choice(corpus.AGENTS).replace(b"\x00", b"")],
            [b"A" * 70_000 + b": x"],
        )
    )
    return Shape(head(2, *more) + b"{}")


def _cut(rng: random.Random) -> Shape:
    data = request(corpus.body(rng))
    return Shape(data[: rng.randrange(len(data))])


def _line(rng: random.Random) -> Shape:
    line = rng.choice(
        (
            *(b"POST /v1/events HTTP/1.0", b"POST /v1/events", b"post /v1/events HTTP/1.1"),
            *(b"POST http://x/v1/events HTTP/1.1", b"OPTIONS * HTTP/1.1", b"CONNECT x:1 HTTP/1.1"),
            *(b"POST /v1/events HTTP/9.9", b"PRI * HTTP/2.0", b"POST //v1/events HTTP/1.1"),
            *(b"POST /\xff\xfe HTTP/1.1", b"POST /v1/events?" + b"a=&" * 30 + b" HTTP/1.1"),
            *(
                b"POST /%00 HTTP/1.1",
                b"POST /%ff%fe HTTP/1.1",
                b"GET /" + b"a" * 70_000 + b" HTTP/1.1",
            ),
            *(b"POST\t/v1/events\tHTTP/1.1", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b""),
            *(b"POST /v1/events?key=%00%ff HTTP/1.1", b"PATCH /v1/events HTTP/1.1", b"* * *"),
        )
    )
    more = rng.choice(
        (
            (),
            (b"Expect: 100-continue",),
            (b"Upgrade: websocket", b"Connection: Upgrade", b"Sec-WebSocket-Key: x"),
            (b"Upgrade: h2c", b"Connection: Upgrade, HTTP2-Settings", b"HTTP2-Settings: AAMAAABk"),
            (b"Connection: close",),
            (b"Content-Type: \x00",),
            (b"X: \xff\xfe\r\n folded",),
        )
    )
    return Shape(head(2, *more, line=line, key=rng.random() < 0.8) + b"{}", answers=3)


_SHAPES: Final[tuple[Callable[[random.Random], Shape], ...]] = (
    *(_body, _body, _head, _head, _chunked, _lying_chunks, _smuggle, _large_head, _cut, _line),
)
