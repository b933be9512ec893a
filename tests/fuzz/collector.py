"""Target: the collector's ASGI application in process, with doubles for Kafka and Redis.

Four kinds of request: one damaged event between two good ones; a damaged body; a body in gzip,
damaged or not; and a request whose path, method, query and headers are wrong as well.
"""

import asyncio
import json
import random
from typing import Any, Final, Self

from events import batch
from events.reasons import EVENT_REASONS, REQUEST_ERRORS
from serving.ingest.settings import Settings
from tests.fuzz import corpus
from tests.fuzz.mutate import field, flip, mutate, zipped
from tests.fuzz.report import Violation
from tests.unit.serving.client import Client

Header = tuple[bytes, bytes]

USUAL: Final[list[Header]] = [
    (b"x-write-key", corpus.KEY.encode()),
    (b"content-type", b"application/json"),
    (b"user-agent", b"MyServer/2.0"),
]
_GOOD: Final = corpus.body(random.Random(0))
_CHECK_EVERY: Final = 500  # cases between two good requests


class CollectorTarget:
    """A collector, and cases against it. Close it."""

    def __init__(self) -> None:
        self.client = Client(settings=Settings(linger_ms=0))
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.close()

    def case(self, rng: random.Random, index: int) -> list[str]:
        """One request; its outcome, and the reasons of the events that were refused."""
        if index % _CHECK_EVERY == 0:
            self._still_works()
        kind = rng.randrange(10)
        if kind < 4:
            return self._between_neighbours(rng, index)
        data, headers, line = corpus.body(rng), USUAL, ("POST", "/v1/events", b"")
        if kind < 7:
            data = mutate(rng, data)
        elif kind == 7:
            data = zipped(rng, mutate(rng, data) if rng.random() < 0.5 else data)
            headers = [*USUAL, (b"content-encoding", b"gzip")]
        else:
            headers, line = _headers(rng), _line(rng)
            data = mutate(rng, data) if rng.random() < 0.3 else data
        return self._send(data, headers, line)[1]

    def _between_neighbours(self, rng: random.Random, index: int) -> list[str]:
        """Neighbours count whenever what stands between them is JSON at all."""
        left, right = (
            b'{"type":"click","user_id":"%s%d","ts":1}' % (side, index) for side in _SIDES
        )
        left, right = (text.replace(b":1}", b":%d}" % corpus.NOW) for text in (left, right))
        middle = rng.choice((mutate, field, field))(rng, corpus.event_text(rng))
        data = b'{"events":[' + left + b"," + middle + b"," + right + b"]}"
        answer, names = self._send(data, USUAL, ("POST", "/v1/events", b""))
        events = _envelope(data)
        if events is None:
            return names
        if answer["status"] != 202:
            raise Violation(f"neighbours refused: {answer['body'][:200]!r}", data)
        users = [row["user_id"] for row in self._rows]
        if not {f"{side.decode()}{index}" for side in _SIDES} <= set(users):
            raise Violation(f"a valid neighbour is not among {users}", data)
        if answer["accepted"] + answer["rejected"] != len(events):
            raise Violation(f"{answer['accepted']} and {answer['rejected']} of {len(events)}", data)
        return names

    def _send(
        self, data: bytes, headers: list[Header], line: tuple[str, str, bytes]
    ) -> tuple[dict[str, Any], list[str]]:
        method, path, query = line
        client = self.client
        sent: list[Any] = []
        pieces = [{"type": "http.request", "body": data, "more_body": False}]

        async def receive() -> Any:
            return pieces.pop() if pieces else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query,
            "headers": headers,
            "client": ("127.0.0.1", 1),
        }
        client.broker.messages.clear()
        client.memory.replies.clear()
        self._runner.run(client.app(scope, receive, send))
        if len(sent) != 2:
            raise Violation(f"{len(sent)} parts of an answer", data)
        answer = {"status": sent[0]["status"], "body": sent[1]["body"]}
        names = self._check(answer, data, method)
        return answer, names

    def _check(self, answer: dict[str, Any], data: bytes, method: str) -> list[str]:
        status, body = answer["status"], answer["body"]
        budget = self.client.app.budget
        if (budget.events, budget.bytes) != (0, 0):
            raise Violation(f"held after the answer: {budget.events}, {budget.bytes} bytes", data)
        if status in (200, 204) or method == "HEAD":
            if status >= 500:
                raise Violation(f"status {status}", data)
            return [f"status {status}"]
        reply = json.loads(body)
        if status != 202:
            code = reply["error"]["code"]
            if status >= 500 or code not in REQUEST_ERRORS or REQUEST_ERRORS[code].status != status:
                raise Violation(f"status {status}: {body[:200]!r}", data)
            return [code]
        reasons = [refused["code"] for refused in reply["rejected"]]
        if not set(reasons) <= EVENT_REASONS.keys():
            raise Violation(f"undeclared: {set(reasons) - EVENT_REASONS.keys()}", data)
        self._rows = self.client.broker.rows()
        if len(self._rows) != reply["accepted"]:
            raise Violation(f"{len(self._rows)} rows of {reply['accepted']} accepted", data)
        answer |= {"accepted": reply["accepted"], "rejected": len(reasons)}
        return ["accepted" if reply["accepted"] else "all events refused", *sorted(set(reasons))]

    def _still_works(self) -> None:
        """A good request is taken whatever came before."""
        answer, _ = self._send(_GOOD, USUAL, ("POST", "/v1/events", b""))
        if answer["status"] != 202 or answer["rejected"]:
            raise Violation(f"a good request is refused: {answer}", _GOOD)
        for message in self.client.broker.messages:
            batch.decode(message.value)


_SIDES: Final = (b"left-", b"right-")


def _envelope(data: bytes) -> list[Any] | None:
    """The events of a body that another JSON parser, made strict, takes; None when it does not."""

    def refuse(text: str) -> Any:
        raise ValueError(text)

    try:
        found = json.loads(data.decode(), parse_constant=refuse)
    except (ValueError, RecursionError):
        return None
    # Depths and numbers that our parser may refuse as JSON are no cost to neighbours we claim.
    if not isinstance(found, dict) or set(found) != {"events"} or b"[" * 50 in data:
        return None
    return (
        found["events"] if isinstance(found["events"], list) and b'{"a":' * 50 not in data else None
    )


def _headers(rng: random.Random) -> list[Header]:
    choices: dict[bytes, tuple[bytes, ...]] = {
        b"content-type": corpus.CONTENT_TYPES,
        b"content-encoding": corpus.ENCODINGS,
        b"content-length": corpus.LENGTHS,
        b"x-forwarded-for": corpus.FORWARDED,
        b"user-agent": corpus.AGENTS,
        b"x-write-key": (b"", corpus.KEY.encode(), b"\xff", b"x" * 9_000, b"demo-read-key"),
    }
    headers = dict(USUAL)
    for name in rng.sample(sorted(choices), rng.randint(0, 3)):
        value = rng.choice(choices[name])
        headers[name] = flip(rng, value) if rng.random() < 0.2 else value
    pairs = list(headers.items())
    if rng.random() < 0.1:
        pairs.append(rng.choice(pairs))
        pairs.append((b"x-forwarded-for", rng.choice(corpus.FORWARDED)))
    return pairs


def _line(rng: random.Random) -> tuple[str, str, bytes]:
    method = "POST" if rng.random() < 0.7 else rng.choice(corpus.METHODS)
    path = "/v1/events" if rng.random() < 0.7 else rng.choice(corpus.PATHS)
    query = rng.choice(corpus.QUERIES)
    if rng.random() < 0.1:
        path += f"/{rng.getrandbits(64)}"
    return method, path, mutate(rng, query, 1) if rng.random() < 0.2 else query
