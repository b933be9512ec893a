"""What limits cost the collector: requests with them and without, in turn, over a real Valkey.

    python -m benchmarks.limits [--rounds 300] [--events 10]

The collector is called in this process, as ASGI, with a broker and a memory that answer at once, so
its own work is all that is measured, in CPU time; Valkey only counts. A round is 64 requests, open
at a time, with each kind of limits in turn; shown are the quickest tenth of the rounds, since the
machine is shared. `one client` lives of leases; of `many clients` each is new, so all ask Valkey,
64 in a call: the worst there is.
"""

import argparse
import asyncio
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks import unhindered
from deploy.ports import free_port
from deploy.services import ValkeyServer
from serving.ingest.connect import open_redis
from serving.ingest.leases import Leases
from serving.ingest.limits import Limits
from serving.ingest.link import Link
from serving.ingest.settings import Settings
from tests.unit.serving.client import Client, event

OPEN: Final = 64
OPTIONS: Final = {
    "none": ["--requests_per_ip=0"],
    "requests": [*unhindered.COLLECTOR],
    "requests and events": [
        *unhindered.COLLECTOR,
        *("--events_per_key=1000000", "--burst_events_per_key=100000000"),
    ],
}


async def measure(url: str, events: int, rounds: int) -> dict[str, dict[str, float]]:
    """Microseconds of CPU of a request, by clients and limits."""
    body = json.dumps({"events": [event(user_id=f"u{n}") for n in range(events)]}).encode()
    made = {name: Settings.parse(["--linger_ms=1", *more]) for name, more in OPTIONS.items()}
    clients = {name: Client(settings) for name, settings in made.items()}
    opened = []
    for name, client in clients.items():
        redis, timeout = open_redis(url, 2_000, 1)
        opened.append(Leases(redis, Link(timeout)))
        client.app._limits = Limits(made[name], opened[-1])
    addresses = (f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}" for n in itertools.count())
    found: dict[str, dict[str, float]] = {}
    for who, peers in (("one client", itertools.repeat("192.0.2.1")), ("many clients", addresses)):
        times: dict[str, list[float]] = {name: [] for name in clients}
        for _ in range(rounds):
            for name, client in clients.items():
                times[name].append(await _round(client, body, peers))
        found[who] = {name: sorted(all_of)[rounds // 10] for name, all_of in times.items()}
    for leases in opened:
        await leases.stop()
    return found


async def _round(client: Client, body: bytes, peers: Iterator[str]) -> float:
    began = time.process_time()
    sent = [client.post(body, headers={"X-Forwarded-For": next(peers)}) for _ in range(OPEN)]
    statuses = {answer.status for answer in await asyncio.gather(*sent)}
    if statuses != {202}:
        raise RuntimeError(f"not all were taken: {statuses}")
    client.broker.messages.clear()
    return (time.process_time() - began) / OPEN * 1e6


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.limits", description=__doc__)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--events", type=int, default=10, help="of a request")
    chosen: Any = parser.parse_args(argv)
    with (
        tempfile.TemporaryDirectory(prefix="limits-") as folder,
        ValkeyServer(free_port(), Path(folder), persistence=False) as valkey,
    ):
        found = asyncio.run(measure(valkey.address, chosen.events, chosen.rounds))
    for who, took in found.items():
        for name, microseconds in took.items():
            more = microseconds - took["none"]
            print(f"{who:<12}  limits: {name:<20} {microseconds:8.1f} us  {more:+6.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
