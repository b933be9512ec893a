"""The real collector and the real service under bytes that are no good: short seeded runs."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.fuzz import servers
from tests.fuzz.http import GOOD, HttpTarget, head
from tests.fuzz.report import Report, resident_mb_of
from tests.fuzz.runner import run
from tests.fuzz.service import ServiceTarget

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

SLOWEST = 10.0  # seconds; the machine is shared
Target = tuple[HttpTarget, int]


@pytest.fixture(scope="module")
def collector() -> Iterator[Target]:
    with ExitStack() as stack:
        yield servers.collector(stack)


@pytest.fixture(scope="module")
def service() -> Iterator[tuple[ServiceTarget, int]]:
    with ExitStack() as stack:
        yield servers.service(stack)


def test_five_hundred_connections_break_no_collector(collector: Target) -> None:
    target, pid = collector
    report = run(Report("http", 4, 500), target.case, slowest_s=SLOWEST)
    assert report.outcomes["status 202"] > 100
    assert resident_mb_of(pid) < 300


@pytest.mark.slow
def test_five_thousand_connections_break_no_collector(collector: Target) -> None:
    target, pid = collector
    report = Report("http", 5, 5_000)
    run(report, target.case, slowest_s=SLOWEST, memory=lambda: resident_mb_of(pid))
    assert report.rss_mb[100] - report.rss_mb[25] < 30


def test_five_hundred_questions_and_sockets_break_no_service(
    service: tuple[ServiceTarget, int],
) -> None:
    target, pid = service
    report = run(Report("service", 4, 500), target.case, slowest_s=SLOWEST)
    assert report.outcomes["status 200"] > 20
    assert resident_mb_of(pid) < 300


@pytest.mark.slow
def test_five_thousand_questions_and_sockets_break_no_service(
    service: tuple[ServiceTarget, int],
) -> None:
    target, pid = service
    report = Report("service", 5, 5_000)
    run(report, target.case, slowest_s=SLOWEST, memory=lambda: resident_mb_of(pid))
    assert report.rss_mb[100] - report.rss_mb[25] < 60  # replies are kept for a moment


def test_a_head_without_an_end_takes_no_memory(collector: Target) -> None:
    target, pid = collector
    before = resident_mb_of(pid)
    line = b"X-A: " + b"a" * 60_000 + b"\r\n"
    with socket.create_connection(("127.0.0.1", target.port), timeout=10) as link:
        link.sendall(b"POST /v1/events HTTP/1.1\r\nHost: x\r\n")
        with pytest.raises(ConnectionError):
            link.sendall(line * 3_000)  # 180 MB
    assert resident_mb_of(pid) - before < 30
    target.still_works()


@pytest.mark.slow
def test_slow_senders_are_given_up_and_keep_nobody_waiting(collector: Target) -> None:
    """Three hundred that send no head, half a head, or half a body."""
    target, _ = collector
    starts = (b"", b"POST /v1/events HTTP/1.1\r\nX-A: ", head(100) + b'{"ev', GOOD + b"POST /v1")
    with ExitStack() as stack:
        links = []
        for n in range(300):
            link = socket.create_connection(("127.0.0.1", target.port), timeout=30)
            stack.enter_context(link)
            link.sendall(starts[n % len(starts)])
            links.append(link)
        began = time.monotonic()
        for _ in range(20):
            target.still_works()
        assert time.monotonic() - began < 10
        answers = [_rest(link) for link in links]
    for n, answer in enumerate(answers):
        assert answer.count(b"HTTP/1.1 408") == 1, (n, answer)
        assert (b"202 Accepted" in answer) == (starts[n % len(starts)].startswith(GOOD))


def _rest(link: socket.socket) -> bytes:
    found = b""
    while more := link.recv(4_096):
        found += more
    return found
