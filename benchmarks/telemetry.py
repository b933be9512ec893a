"""What the metrics cost: one increment, and a request of the collector with and without them.

    python -m benchmarks.telemetry [--rounds 20] [--gevent]

The collector is called in this process, as ASGI, with a broker and a memory that answer at once, so
its own work is all that is measured, in CPU time; a round is some hundred requests, with metrics
and without in turn, and the best rounds are compared, since the machine is shared. `--gevent`
patches locks first, as the service has them.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tests.unit.serving.client import Client

REQUESTS: Final = 300
CALLS: Final = 200_000


def cost(call: Callable[[], Any]) -> float:
    """Nanoseconds of one call, the best of five runs."""
    best = float("inf")
    for _ in range(5):
        began = time.perf_counter_ns()
        for _ in range(CALLS):
            call()
        best = min(best, (time.perf_counter_ns() - began) / CALLS)
    return best


def primitives() -> dict[str, float]:
    """Nanoseconds by what is done."""
    from telemetry import metrics

    return {
        "a counter without labels": cost(metrics.COLLECTOR_GONE.inc),
        "a counter with two labels": cost(
            lambda: metrics.COLLECTOR_REQUESTS.inc("/v1/events", 202)
        ),
        "a value that is not listed": cost(lambda: metrics.COLLECTOR_REQUESTS.inc("/x", 404)),
        "a histogram": cost(lambda: metrics.COLLECTOR_SECONDS.observe(0.05)),
    }


@contextmanager
def silent() -> Any:
    """No metrics at all."""
    from telemetry.meters import Count, Times

    kept = Count.inc, Count.add, Times.observe
    nothing: Any = lambda *_: None  # noqa: E731
    Count.inc = Count.add = Times.observe = nothing  # type: ignore[method-assign]
    try:
        yield
    finally:
        Count.inc, Count.add, Times.observe = kept  # type: ignore[method-assign]


async def _round(client: "Client", body: bytes) -> float:
    """Microseconds of CPU of a request, 64 of them open at a time."""
    began = time.process_time()
    for _ in range(REQUESTS // 64 + 1):
        await asyncio.gather(*(client.post(body) for _ in range(64)))
    client.broker.messages.clear()
    return (time.process_time() - began) / ((REQUESTS // 64 + 1) * 64) * 1e6


async def requests(events: int, rounds: int) -> tuple[float, float]:
    """Microseconds of a request of so many events: with metrics, and without."""
    from serving.ingest.settings import Settings
    from tests.unit.serving.client import Client, event

    client = Client(Settings(linger_ms=1, requests_per_ip=0))
    body = json.dumps({"events": [event(user_id=f"u{n}") for n in range(events)]}).encode()
    told, untold = [], []
    await _round(client, body)
    for _ in range(rounds):
        told.append(await _round(client, body))
        with silent():
            untold.append(await _round(client, body))
    return min(told), min(untold)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.telemetry", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--gevent", action="store_true")
    chosen = parser.parse_args(argv)
    if chosen.gevent:
        from gevent import monkey

        monkey.patch_all()
    for name, nanoseconds in primitives().items():
        print(f"{name:<28} {nanoseconds:8.0f} ns")
    if chosen.gevent:
        return 0
    for events in (1, 10, 100):
        told, untold = asyncio.run(requests(events, chosen.rounds))
        per_event = (told - untold) * 1000 / events
        print(
            f"a request of {events:>4} events     {told:8.1f} us with, {untold:8.1f} us without: "
            f"{(told / untold - 1) * 100:+.1f} %, {per_event:.0f} ns an event"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
