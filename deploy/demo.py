"""Live demo traffic for the local stack: `python -m deploy.demo --url URL --key KEY --rate 200`.

A few threads, each with one keep-alive connection, post one simulated visit per request. A 503 is
sent again with the same batch id when its Retry-After has passed, like a good client does.
"""

import argparse
import json
import random
import signal
import sys
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, Final
from urllib.parse import urlsplit

from deploy import traffic

SENDERS: Final = 4
TRIES: Final = 8  # per batch, the first included
STATUS_EVERY: Final = 10.0  # seconds
TIMEOUT: Final = 15.0  # seconds for one request
MAX_LAG: Final = 2.0  # seconds of backlog that is still sent after a stall; older is dropped


@dataclass
class Counts:
    """What came of the traffic, in events; `errors` in requests."""

    sent: int = 0
    accepted: int = 0
    rejected: int = 0
    errors: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, *, sent: int = 0, accepted: int = 0, rejected: int = 0, errors: int = 0) -> None:
        """Add to each."""
        with self._lock:
            self.sent += sent
            self.accepted += accepted
            self.rejected += rejected
            self.errors += errors

    def line(self) -> str:
        """The status line."""
        with self._lock:
            return (
                f"sent {self.sent:,} accepted {self.accepted:,} "
                f"rejected {self.rejected:,} errors {self.errors:,}"
            )


class Sender:
    """Posts batches over one keep-alive connection."""

    def __init__(self, url: str, key: str, counts: Counts, stopping: threading.Event) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or parts.hostname is None:
            raise ValueError(f"not an http address: {url}")
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._connection = kind(parts.hostname, parts.port, timeout=TIMEOUT)
        self._path = f"{parts.path.rstrip('/')}/v1/events"
        self._key = key
        self._counts = counts
        self._stopping = stopping

    def send(self, visit: traffic.Visit) -> None:
        """Post one visit; tries again after a 503 or a lost connection, with the same batch id."""
        size = len(visit.events)
        body = json.dumps(
            {
                "batch_id": str(uuid.uuid4()),
                "sent_at": time.time_ns() // 1_000_000,
                "events": visit.events,
            },
            separators=(",", ":"),
        ).encode()
        headers = {
            "Content-Type": "application/json",
            "X-Write-Key": self._key,
            "X-Forwarded-For": visit.user.address,
            "User-Agent": visit.user.user_agent,
        }
        self._counts.add(sent=size)
        for attempt in range(TRIES):
            status, reply, retry_after = self._post(body, headers)
            if status not in (0, 429, 503):
                self._count(status, reply, size)
                return
            wait = retry_after if retry_after is not None else min(0.25 * 2**attempt, 5.0)
            if self._stopping.wait(wait):
                return
        self._counts.add(errors=1)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _post(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes, float | None]:
        """Status (0: no answer), body, and the seconds of Retry-After."""
        try:
            self._connection.request("POST", self._path, body, dict(headers))
            response = self._connection.getresponse()
            return response.status, response.read(), seconds(response.getheader("Retry-After"))
        except (OSError, HTTPException):
            self._connection.close()
            return 0, b"", None

    def _count(self, status: int, reply: bytes, size: int) -> None:
        if status >= 300:
            self._counts.add(rejected=size, errors=1)
            return
        refused = min(size, rejected_in(reply))
        self._counts.add(accepted=size - refused, rejected=refused)


def seconds(retry_after: str | None) -> float | None:
    """The seconds of a Retry-After header, at most a minute; None when it gives none."""
    try:
        return None if retry_after is None else min(60.0, max(0.0, float(retry_after)))
    except ValueError:
        return None


def rejected_in(reply: bytes) -> int:
    """How many events an accepted batch lost: `rejected` in the reply, a number or a list."""
    try:
        answer: Any = json.loads(reply)
    except ValueError:
        return 0
    rejected = answer.get("rejected", 0) if isinstance(answer, dict) else 0
    if isinstance(rejected, list):
        return len(rejected)
    return rejected if isinstance(rejected, int) else 0


class Pace:
    """Hands out visits so that all senders together keep to the walking rate."""

    def __init__(self, users: Sequence[traffic.User], mean: float, rng: random.Random) -> None:
        self._users = users
        self._rng = rng
        self._rates = traffic.rates(mean, rng)
        self._rate = next(self._rates)
        self._lock = threading.Lock()
        self._due = self._next_rate = time.monotonic()

    def next(self) -> tuple[float, traffic.Visit]:
        """The next visit, and when it is due (monotonic seconds): its last event happens then."""
        with self._lock:
            now = time.monotonic()
            if now >= self._next_rate:
                self._rate, self._next_rate = next(self._rates), now + 1.0
            due = max(self._due, now - MAX_LAG)
            ends_at = time.time_ns() // 1_000_000 + max(0, int((due - now) * 1_000))
            visit = traffic.visit(self._rng.choice(self._users), ends_at, self._rng)
            self._due = due + len(visit.events) / self._rate
        return due, visit


def _send_forever(sender: Sender, pace: Pace, stopping: threading.Event) -> None:
    while not stopping.is_set():
        due, visit = pace.next()
        if stopping.wait(max(0.0, due - time.monotonic())):
            break
        sender.send(visit)
    sender.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Send until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m deploy.demo", description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8081", help="the collector")
    parser.add_argument("--key", default="demo-write-key", help="its write key")
    parser.add_argument("--rate", type=float, default=200, help="events per second, on average")
    parser.add_argument("--users", type=int, default=5_000, help="simulated visitors")
    parser.add_argument("--seed", type=int, default=None, help="repeat the same visitors")
    options = parser.parse_args(arguments)
    if options.rate <= 0 or options.users <= 0:
        parser.error("--rate and --users must be above 0")

    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    rng = random.Random(options.seed)
    counts = Counts()
    pace = Pace(traffic.users(options.users, rng), options.rate, rng)
    threads = [
        threading.Thread(
            target=_send_forever,
            args=(Sender(options.url, options.key, counts, stopping), pace, stopping),
            name=f"sender-{number}",
        )
        for number in range(SENDERS)
    ]
    for thread in threads:
        thread.start()
    while not stopping.wait(STATUS_EVERY):
        print(f"{time.strftime('%H:%M:%S')} {counts.line()}", flush=True)
    for thread in threads:
        thread.join(TIMEOUT)
    print(counts.line(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
