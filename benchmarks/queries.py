"""How fast `GET /v1/metrics` answers over a month of history, HTTP included.

    python -m benchmarks.queries [--days 30] [--series 2000] [--seconds 10] [--json FILE]

Starts a Valkey, a ClickHouse and the service of its own in `--folder` (kept: the second run need
not fill), and puts `--days` of minutes of `--series` combinations of country, device and category
straight into the stores, with all their marginals. Numbers are a function of series and minute, so
sums are known: `exact` says that the answers equal them. Each kind of question is asked for
`--seconds`, one at a time: first what was mostly never asked before (other filters each time),
then one question again and again; then 50 at the same moment: out of 20 questions, as many
dashboards have them, and with other filters each time. Everything, the clients too, shares the
machine.
"""

import argparse
import asyncio
import json
import os
import platform
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final

import redis

from benchmarks import month, unhindered
from deploy.children import PythonChild, answers_ready
from deploy.clickhouse import ClickHouseServer
from deploy.ports import HOST, free_port
from deploy.services import ValkeyServer
from stores.contract import DAY

CLIENTS: Final = 50
QUESTIONS: Final = 20  # that differ, when 50 ask at once
KEY: Final = {"X-Read-Key": "demo-read-key"}
Ask = Callable[[random.Random], str]  # a question, as a query string


def main(argv: Sequence[str] | None = None) -> int:
    """Fill when needed, ask, print a line for each kind, and the verdict."""
    parser = argparse.ArgumentParser(prog="benchmarks.queries", description=__doc__)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--series", type=int, default=2_000)
    parser.add_argument("--seconds", type=float, default=10.0, help="for each kind of question")
    parser.add_argument("--folder", type=Path, default=Path(".run/benchmark"))
    parser.add_argument("--workers", type=int, default=1, help="processes of the service")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(argv)
    folder = options.folder.resolve()
    valkey = ValkeyServer(free_port(), folder / "valkey", persistence=False)
    clickhouse = ClickHouseServer(folder / "clickhouse", free_port(), free_port())
    with valkey, clickhouse, closing(redis.Redis.from_url(valkey.address)) as client:
        stamp = folder / "month.json"
        made = month.fill(clickhouse.address, client, options.days, options.series, stamp)
        print(f"{made.rows:,} rows of minutes, {made.series:,} series", flush=True)
        with _service(folder, valkey, clickhouse, options.workers) as port:
            result = {
                "questions": list(_measure(port, made, options.seconds)),
                "exact": _exact(port, made),
                "made": month.described(made),
                "workers": options.workers,
                "machine": f"{platform.machine()}, {os.cpu_count()} cores, "
                f"Python {platform.python_version()}",
            }
    print(f"exact: {result['exact']}")
    if options.json:
        options.json.write_text(json.dumps(result, indent=1))
    return 0 if result["exact"] else 1


@contextmanager
def _service(
    folder: Path, valkey: ValkeyServer, clickhouse: ClickHouseServer, workers: int
) -> Iterator[int]:
    """The service as users run it; gives its port."""
    port = free_port()
    arguments = ["serving.app", "--port", str(port), "--workers", str(workers)]
    arguments += ["--redis_url", valkey.address, "--history_url", clickhouse.reader_address]
    arguments += unhindered.SERVICE
    log = folder / "service.log"
    with PythonChild(
        "service", arguments, answers_ready(port), log_path=log, environment={}, ready_within=60
    ):
        yield port


def _questions(made: month.Month) -> dict[str, Ask]:
    """By name; each makes a question with a filter of its own from chance."""
    start, boundary = made.start, made.boundary

    def some(rng: random.Random, most: int = 3) -> str:
        """A filter by up to so many dimensions."""
        country, device, category = rng.choice(made.finest)
        pairs = [f"country:{country}", f"device:{device}", f"category:{category}"]
        chosen = rng.sample(pairs, rng.randint(0, most))
        return f"&filter={','.join(chosen)}" if chosen else ""

    def users(rng: random.Random) -> str:
        country, device, category = rng.choice(made.finest)
        pairs = ["", f"country:{country}", f"device:{device}", f"category:{category}"]
        chosen = rng.choice(pairs)
        return f"&filter={chosen}" if chosen else ""

    return {
        "24 h by minute, any filter": lambda rng: f"start=-24h&metrics=events,revenue{some(rng)}",
        "48 h by minute, over the seam": lambda rng: (
            f"start={boundary - rng.randint(20, 24) * 3600}&metrics=events{some(rng)}"
        ),
        "30 days, revenue by hour": lambda rng: (
            f"start={start}&end={made.end}&granularity=1h&metrics=revenue{some(rng)}"
        ),
        "30 days, users by day": lambda rng: (
            f"start={start // DAY * DAY}&end={made.end // DAY * DAY}&granularity=1d"
            f"&metrics=unique_users{users(rng)}"
        ),
        "7 days, top 10 countries": lambda rng: (
            f"start={made.end - rng.randint(6, 8) * DAY}&end={made.end}&granularity=1h"
            f"&dimensions=country&limit=10&filter=device:{rng.choice(made.finest)[1]}"
        ),
    }


def _measure(port: int, made: month.Month, seconds: float) -> Iterator[dict[str, Any]]:
    """A result for each kind of question: never asked before, repeated, and by many at once."""
    rng = random.Random(1)
    for name, ask in _questions(made).items():
        fresh = _run(port, ask, rng, seconds)
        same = ask(rng)
        repeated = _run(port, partial(_always, same), rng, min(seconds, 3.0))
        some = [ask(rng) for _ in range(QUESTIONS)]
        line = {
            "name": name,
            "new": fresh,
            "repeated": repeated,
            "at_once": _crowd(port, partial(_one_of, some), seconds),
            "at_once_new": _crowd(port, ask, seconds),
        }
        print(json.dumps(line), flush=True)
        yield line


def _one_of(questions: list[str], rng: random.Random) -> str:
    return rng.choice(questions)


def _always(question: str, _: random.Random) -> str:
    return question


def _run(port: int, ask: Ask, rng: random.Random, seconds: float) -> dict[str, float]:
    """One client, one question after the other."""
    with closing(HTTPConnection(HOST, port, timeout=60)) as connection:
        _get(connection, ask(rng))
        times, until = [], time.monotonic() + seconds
        while time.monotonic() < until:
            question = ask(rng)
            began = time.perf_counter()
            _get(connection, question)
            times.append(time.perf_counter() - began)
    return _summary(times)


def _crowd(port: int, ask: Ask, seconds: float) -> dict[str, float]:
    """Many questions at the same moment, each on a connection of its own; again when all is said.

    On one event loop: threads would measure how they wait for each other.
    """
    times = asyncio.run(_bursts(port, ask, seconds))
    return {**_summary(times), "per_second": round(len(times) / seconds)}


async def _bursts(port: int, ask: Ask, seconds: float) -> list[float]:
    rng = random.Random(100)
    clients = [await asyncio.open_connection(HOST, port) for _ in range(CLIENTS)]
    times: list[float] = []

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = "".join(f"{name}: {value}\r\n" for name, value in KEY.items())
        request = f"GET /v1/metrics?{ask(rng)} HTTP/1.1\r\nHost: {HOST}\r\n{head}\r\n"
        began = time.perf_counter()
        writer.write(request.encode())
        answer = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(answer.split("content-length: ")[1].split("\r\n")[0])
        await reader.readexactly(length)
        times.append(time.perf_counter() - began)
        if " 200 " not in answer.split("\r\n")[0]:
            raise RuntimeError(answer)

    until = time.monotonic() + seconds
    while time.monotonic() < until:
        await asyncio.gather(*(one(*client) for client in clients))
    for _, writer in clients:
        writer.close()
    return times


def _get(connection: HTTPConnection, question: str) -> bytes:
    connection.request("GET", f"/v1/metrics?{question}", headers=KEY)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{answer.status}: {body[:300]!r}")
    return body


def _summary(times: list[float]) -> dict[str, float]:
    """Milliseconds."""
    ordered = sorted(times)
    return {
        "count": len(ordered),
        "p50_ms": round(1000 * statistics.median(ordered), 2),
        "p99_ms": round(1000 * ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))], 2),
    }


def _exact(port: int, made: month.Month) -> bool:
    """Whether sums over the whole range, over a filter and over the seam are as they were made."""
    with closing(HTTPConnection(HOST, port, timeout=60)) as connection:
        for text, index in made.truths():
            asked = f"start={made.start}&end={made.end}&granularity=1h&metrics=events{text}"
            answer = json.loads(_get(connection, asked))
            [series] = answer["series"]
            if sum(series["events"]) != index or answer["missing"]:
                print(f"wrong: {text or 'total'}: {sum(series['events'])} is not {index}")
                return False
    return True


if __name__ == "__main__":
    sys.exit(main())
