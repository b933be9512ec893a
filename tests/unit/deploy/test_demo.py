import json
import random
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import pytest

from deploy import demo, traffic

NOW = 1_760_000_000_000


class Reply(NamedTuple):
    status: int
    body: bytes = b"{}"
    headers: tuple[tuple[str, str], ...] = ()


class Collector(ThreadingHTTPServer):
    """Answers with the given replies in turn, the last one for ever, and keeps what it was sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.replies: list[Reply] = []
        self.seen: list[tuple[str, dict[str, str], dict[str, Any]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Collector

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.seen.append((self.path, dict(self.headers), body))
        replies = self.server.replies
        reply = replies.pop(0) if len(replies) > 1 else replies[0]
        self.send_response(reply.status)
        for name, value in reply.headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    server = Collector()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def visit() -> traffic.Visit:
    rng = random.Random(1)
    return traffic.visit(traffic.users(1, rng)[0], NOW, rng)


def post(collector: Collector, *replies: Reply) -> demo.Counts:
    collector.replies = list(replies)
    counts = demo.Counts()
    sender = demo.Sender(collector.url, "key-1", counts, threading.Event())
    sender.send(visit())
    sender.close()
    return counts


def test_a_request_is_what_the_collector_takes(collector: Collector) -> None:
    counts = post(collector, Reply(202))
    ((path, headers, body),) = collector.seen
    assert path == "/v1/events"
    assert headers["X-Write-Key"] == "key-1"
    assert headers["X-Forwarded-For"] == visit().user.address
    assert headers["User-Agent"] == visit().user.user_agent
    assert body["events"] == visit().events
    assert set(body) == {"batch_id", "sent_at", "events"}
    size = len(visit().events)
    assert counts.line() == f"sent {size} accepted {size} rejected 0 errors 0"


def test_503_is_sent_again_with_the_same_batch_id(collector: Collector) -> None:
    busy = Reply(503, headers=(("Retry-After", "0"),))
    counts = post(collector, busy, busy, Reply(202))
    assert len(collector.seen) == 3
    assert len({body["batch_id"] for _, _, body in collector.seen}) == 1
    assert counts.accepted == len(visit().events)
    assert counts.errors == 0


def test_rejected_events_are_counted(collector: Collector) -> None:
    counts = post(collector, Reply(202, b'{"accepted": 1, "rejected": [{"index": 0}]}'))
    assert counts.rejected == 1
    assert counts.accepted == len(visit().events) - 1


def test_a_refused_request_is_not_sent_again(collector: Collector) -> None:
    counts = post(collector, Reply(401))
    assert len(collector.seen) == 1
    assert counts.errors == 1
    assert counts.rejected == len(visit().events)


@pytest.mark.parametrize(
    ("header", "wanted"), [(None, None), ("2", 2.0), ("-1", 0.0), ("9999", 60.0), ("soon", None)]
)
def test_retry_after(header: str | None, wanted: float | None) -> None:
    assert demo.seconds(header) == wanted


@pytest.mark.parametrize(
    ("reply", "wanted"),
    [(b"", 0), (b"[]", 0), (b'{"rejected": 3}', 3), (b'{"rejected": [1, 2]}', 2)],
)
def test_rejected_in(reply: bytes, wanted: int) -> None:
    assert demo.rejected_in(reply) == wanted


def test_pace_spreads_visits_at_the_rate() -> None:
    rng = random.Random(2)
    pace = demo.Pace(traffic.users(10, rng), 1_000.0, rng)
    first, _ = pace.next()
    events, due = 0, first
    while events < 5_000:
        due, planned = pace.next()
        events += len(planned.events)
    assert 3.0 < due - first < 10.0
