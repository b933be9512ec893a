"""How many events per second the running local stack takes without falling behind.

    make run  (in another terminal, STREAMLENS_DEMO_RATE=0)  then  python -m benchmarks.chain

Sends requests of `--per_request` events at rising rates, `--seconds` each, and looks after each
step how long the hot store needs to show all of them. A step is kept up with when every event was
accepted at the wanted rate and the last is counted within `--grace` seconds. Load generator and
stack share the machine. `--json FILE` writes what is printed.
"""

import argparse
import json
import os
import platform
import random
import sys
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from http.client import HTTPConnection
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from deploy.identity import group_members, resident

TYPES = ("page_view", "click", "purchase", "error")
AGENT = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/131.0.0.0 Safari/537.36"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the steps; print one line for each, and the verdict."""
    parser = argparse.ArgumentParser(prog="benchmarks.chain", description=__doc__)
    parser.add_argument("--collector", default="http://127.0.0.1:8081")
    parser.add_argument("--service", default="http://127.0.0.1:8080")
    parser.add_argument("--rates", default="1000,5000,10000,20000,40000,80000")
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--per_request", type=int, default=200)
    parser.add_argument("--grace", type=float, default=10.0)
    parser.add_argument("--run_dir", type=Path, default=Path(".run"), help="of `make run`")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(argv)
    steps, best = climb(options, options.rates)
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    result = {
        "events_per_second": best,
        "exact": all(s["exact"] for s in steps),
        "steps": steps,
        "machine": machine,
        "rss_mb": _memory(options.run_dir),
    }
    print(f"kept up with {best:,.0f} events/s; exact: {result['exact']}")
    print(f"resident memory, MB: {result['rss_mb']}")
    if options.json:
        options.json.write_text(json.dumps(result, indent=1))
    return 0


def climb(options: argparse.Namespace, rates: str) -> tuple[list[dict[str, Any]], int]:
    """Rising rates, to the first that is not kept up with; and events/s of the last that was."""
    steps: list[dict[str, Any]] = []
    for rate in map(int, rates.split(",")):
        steps.append(play(options, rate))
        print(json.dumps(steps[-1]), flush=True)
        if not steps[-1]["kept_up"]:
            break
    return steps, max((s["events_per_second"] for s in steps if s["kept_up"]), default=0)


def play(
    options: argparse.Namespace, rate: float, meanwhile: Callable[[], None] = lambda: None
) -> dict[str, Any]:
    """One rate: send, then wait until the store has everything. `meanwhile` is called on the way.

    Of `options`: `collector`, `service`, `seconds`, `per_request`, `grace`.
    """
    before = _counted(options.service)
    began = time.time()
    context = get_context("spawn")
    queue: Any = context.Queue()
    sender = context.Process(target=_send, args=(options, rate, queue))
    sender.start()
    meanwhile()
    accepted, took = queue.get()
    sender.join()
    deadline = time.monotonic() + max(60.0, options.grace)
    sent_at = time.monotonic()
    while (counted := _counted(options.service) - before) < accepted:
        if time.monotonic() > deadline:
            break
        time.sleep(0.1)
    lag = time.monotonic() - sent_at
    reached = accepted / took
    return {
        "wanted": rate,
        "events_per_second": round(reached),
        "accepted": accepted,
        "counted": counted,
        "exact": counted == accepted,
        "counted_after_s": round(lag, 1),
        "kept_up": reached > 0.95 * rate and counted == accepted and lag <= options.grace,
        "started": round(began),
    }


def _send(options: argparse.Namespace, rate: float, queue: Any) -> None:
    lock, total = threading.Lock(), [0]
    stop = time.monotonic() + options.seconds
    senders = 16
    pause = options.per_request * senders / rate

    def work(seed: int) -> None:
        rng = random.Random(seed)
        connection = HTTPConnection(urlsplit(options.collector).netloc, timeout=30)
        due = time.monotonic() + pause * seed / senders
        while due < stop:
            time.sleep(max(0.0, due - time.monotonic()))
            due += pause
            body = _body(rng, options.per_request)
            headers = {"Content-Type": "application/json", "X-Write-Key": "demo-write-key"}
            while True:
                connection.request("POST", "/v1/events", body, {**headers, "User-Agent": AGENT})
                response = connection.getresponse()
                answer = json.loads(response.read())
                if response.status == 202:
                    break
                time.sleep(0.2)
            with lock:
                total[0] += answer["accepted"]
        connection.close()

    began = time.monotonic()
    threads = [threading.Thread(target=work, args=(i,)) for i in range(senders)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    queue.put((total[0], max(time.monotonic() - began, options.seconds)))


def _body(rng: random.Random, count: int) -> bytes:
    now = int(time.time() * 1000)
    events = [
        {
            "type": rng.choice(TYPES),
            "user_id": f"u{rng.randrange(1_000_000)}",
            "ts": now,
            "url": f"/p/{rng.randrange(500)}",
            "category": f"c{rng.randrange(20)}",
        }
        for _ in range(count)
    ]
    return msgspec.json.encode({"batch_id": str(uuid.uuid4()), "events": events})


def _memory(run_dir: Path) -> dict[str, int]:
    """Resident MB of each child of `make run`, with all processes of its group."""
    children = json.loads((run_dir / "local.json").read_text())["children"]
    return {c["name"]: resident(group_members(c["pid"])) // 1_000_000 for c in children}


def _counted(service: str) -> int:
    connection = HTTPConnection(urlsplit(service).netloc, timeout=30)
    path = "/v1/metrics?granularity=total&metrics=events&start=-3h"
    connection.request("GET", path, headers={"X-Read-Key": "demo-read-key"})
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return int(answer["series"][0]["events"][0])


if __name__ == "__main__":
    sys.exit(main())
