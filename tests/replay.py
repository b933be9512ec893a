"""Replay of a real access log through the collector, and the truth to compare the answers with.

The log's four days are compressed into the last `minutes`. Every line is one event: `page_view`, or
`error` for a status of 400 and above. The sender is told by X-Forwarded-For and User-Agent; user id
= client address + User-Agent. The truth is counted here, one line at a time, from the same file;
of the product it shares only the classification of User-Agents and the country database.
"""

import gzip
import hashlib
import json
import random
import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from http.client import HTTPConnection
from itertools import groupby
from pathlib import Path
from queue import Empty, Queue
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import maxminddb

from events.agent import classify

LOG: Final = Path(__file__).parent / "data" / "access_log_2015.gz"
LATE_MINUTES: Final = 10
_LINE: Final = re.compile(
    r'(?P<address>\S+) \S+ \S+ \[(?P<time>[^]]+)\] "(?P<request>.*)" (?P<status>\d+) \S+ '
    r'"[^"]*" "(?P<agent>.*?)"?$'  # one line of the log ends before its last quote
)


@dataclass(frozen=True)
class Visit:
    """One line of the log, with the time it gets in the replay (ms)."""

    address: str
    agent: str
    path: str
    status: int
    ts: int

    @property
    def user_id(self) -> str:
        """Who: the address and the browser."""
        return hashlib.sha256(f"{self.address} {self.agent}".encode()).hexdigest()[:32]

    @property
    def type(self) -> str:
        """`page_view` or `error`."""
        return "error" if self.status >= 400 else "page_view"


def visits(end: int, minutes: int, log: Path = LOG) -> list[Visit]:
    """The log's lines, its time compressed into the `minutes` before `end` (epoch seconds)."""
    found = []
    with gzip.open(log, "rt", encoding="utf-8", errors="replace") as lines:
        for line in lines:
            match = _LINE.match(line)
            if match is None:
                raise ValueError(f"not a line of an access log: {line!r}")
            when = datetime.strptime(match["time"], "%d/%b/%Y:%H:%M:%S %z").timestamp()
            agent = "" if match["agent"] == "-" else match["agent"]
            path = [*match["request"].split(" "), ""][1][:2_000]
            found.append((when, match["address"], agent, path, int(match["status"])))
    first, last = min(f[0] for f in found), max(f[0] for f in found)
    scale = minutes * 60_000 / (last - first + 1)
    start = end * 1000 - minutes * 60_000
    return [
        Visit(address, agent, path, status, start + int((when - first) * scale))
        for when, address, agent, path, status in found
    ]


@dataclass
class Truth:
    """What the product should say: counts per minute and dimension value, and distinct users.

    Keys: (dimension, value) with ("", "") for the total. Bots are not visitors.
    """

    minutes: dict[tuple[str, str], dict[int, Counter[str]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(Counter))
    )
    users: set[str] = field(default_factory=set)
    bots: int = 0


def truth(all_visits: Sequence[Visit], geo: Path | None) -> Truth:
    """Count, one visit at a time."""
    result = Truth()
    database = None if geo is None else maxminddb.open_database(str(geo))
    for visit in all_visits:
        agent = classify(visit.agent)
        if agent.bot:
            result.bots += 1
            continue
        country = "ZZ"
        if database is not None:
            entry: Any = database.get(visit.address)
            country = (entry or {}).get("country_code") or "ZZ"
        minute = visit.ts // 60_000 * 60
        for key in (("", ""), ("country", country), ("device", agent.device)):
            result.minutes[key][minute][visit.type] += 1
        result.users.add(visit.user_id)
    if database is not None:
        database.close()
    return result


def requests(all_visits: Sequence[Visit], seed: int) -> Iterator[tuple[Visit, bytes]]:
    """Requests in the order of sending: (who sends, body). 5 % of visits are up to 10 min late."""
    rng = random.Random(seed)
    order = sorted(
        all_visits,
        key=lambda v: v.ts + (rng.randrange(LATE_MINUTES * 60_000) if rng.random() < 0.05 else 0),
    )
    for number, (_, group) in enumerate(groupby(order, lambda v: (v.address, v.agent))):
        events = list(group)
        yield (
            events[0],
            json.dumps(
                {
                    "batch_id": f"replay-{seed}-{number}",
                    "events": [
                        {"type": v.type, "user_id": v.user_id, "ts": v.ts, "url": v.path}
                        for v in events
                    ],
                }
            ).encode(),
        )


class Client:
    """The product's two HTTP addresses, with the demo project's keys."""

    def __init__(self, collector: str, service: str) -> None:
        self._collector = HTTPConnection(urlsplit(collector).netloc, timeout=30)
        self._service = HTTPConnection(urlsplit(service).netloc, timeout=30)

    def send(self, who: Visit, body: bytes) -> int:
        """POST events, again while the answer is 503; how many were accepted."""
        headers = {
            "Content-Type": "application/json",
            "X-Write-Key": "demo-write-key",
            "X-Forwarded-For": who.address,
            # A header may not be anything; what the log has beyond Latin-1 was never sent so.
            "User-Agent": who.agent.encode("latin-1", "replace").decode("latin-1"),
        }
        for _ in range(100):
            self._collector.request("POST", "/v1/events", body, headers)
            response = self._collector.getresponse()
            answer = json.loads(response.read())
            if response.status == 202:
                if answer["rejected"]:
                    raise AssertionError(f"refused: {answer['rejected'][:2]}")
                return int(answer["accepted"])
            if response.status != 503:
                raise AssertionError(f"{response.status}: {answer}")
            time.sleep(0.2)
        raise AssertionError("503 for 20 s")

    def close(self) -> None:
        """Let go of both connections."""
        self._collector.close()
        self._service.close()

    def metrics(self, **parameters: str | int) -> dict[str, Any]:
        """GET /v1/metrics."""
        path = "/v1/metrics?" + urlencode(parameters)
        self._service.request("GET", path, headers={"X-Read-Key": "demo-read-key"})
        response = self._service.getresponse()
        answer: dict[str, Any] = json.loads(response.read())
        if response.status != 200:
            raise AssertionError(f"{response.status}: {answer}")
        return answer


def send_twice(
    collector: str, service: str, todo: Sequence[tuple[Visit, bytes]], senders: int = 16
) -> int:
    """Send every request twice, as a client does that missed the answer; events accepted.

    Several senders at once, so that both copies may also be under way together. Each request goes
    out about in its turn; the second copy right behind the first or with another sender.
    """
    twice: Queue[tuple[Visit, bytes]] = Queue()
    for request in todo:
        twice.put(request)
        twice.put(request)

    def work() -> int:
        client, accepted = Client(collector, service), 0
        try:
            while True:
                accepted += client.send(*twice.get_nowait())
        except Empty:
            return accepted
        finally:
            client.close()

    with ThreadPoolExecutor(senders) as pool:
        return sum(done.result() for done in [pool.submit(work) for _ in range(senders)])


def differences(
    client: Client, expected: Truth, start: int, end: int, granularity: str = "1m"
) -> list[str]:
    """Every difference between what the product says and the truth; empty when there is none."""
    found = []
    dimensions: tuple[str, ...] = ("", "country", "device")
    step = {"1m": 60, "1h": 3_600, "1d": 86_400}[granularity]
    for dimension in dimensions:
        grouped: dict[str, str | int] = {"dimensions": dimension, "limit": 500} if dimension else {}
        said: Counter[tuple[str, str, int, str]] = Counter()
        for low, high in _pieces(start, end, step):  # a reply may not hold everything
            answer = client.metrics(
                start=low,
                end=high,
                granularity=granularity,
                metrics="page_views,errors",
                **grouped,
            )
            if answer["missing"]:
                return [f"missing: {answer['missing']}"]
            for series in answer["series"]:
                value = series["dimensions"].get(dimension, "") if dimension else ""
                for name, kind in (("page_views", "page_view"), ("errors", "error")):
                    for at, count in zip(answer["time"], series[name], strict=True):
                        if count:
                            said[dimension, value, at, kind] += count
        true: Counter[tuple[str, str, int, str]] = Counter()
        for (dim, value), minutes in expected.minutes.items():
            for minute, kinds in minutes.items():
                for kind, count in kinds.items():
                    if dim == dimension:
                        true[dimension, value, minute // step * step, kind] += count
        found += [
            f"{key}: said {said.get(key, 0)}, true {true.get(key, 0)}"
            for key in sorted(said.keys() | true.keys())
            if said.get(key, 0) != true.get(key, 0)
        ]
    answer = client.metrics(
        start=start, end=end, granularity="total", metrics="unique_users,events,bots"
    )
    (total,) = answer["series"]
    users = total["unique_users"][0]
    if abs(users - len(expected.users)) > 0.02 * len(expected.users):
        found.append(f"unique users: said {users}, true {len(expected.users)}")
    if total["bots"][0] != expected.bots:
        found.append(f"bots: said {total['bots'][0]}, true {expected.bots}")
    return found


def _pieces(start: int, end: int, step: int) -> Iterator[tuple[int, int]]:
    size = 180 * step
    for low in range(start // step * step, end, size):
        yield low, min(low + size, -(-end // step) * step)
