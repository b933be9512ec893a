"""Attacks on a running stack by one project, while another sends what it always sends.

`python -m tests.fuzz.attacks --kind cardinality --events 1000000` starts the stack and prints the
figures; `tests/integration/test_hostile_attacks.py` runs the same with less.
"""

import argparse
import json
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final

import redis

from deploy.identity import group_members
from deploy.ports import HOST, free_port
from serving.credentials import key_hash
from stores.hot import HotStore
from stores.pane import FINAL, MINUTE, REVISED
from tests.fuzz.report import resident_mb_of
from tests.fuzz.servers import program
from tests.integration.stack import Stack, running

ATTACKER: Final = "attacker"
VICTIM: Final = "victim"
BATCH: Final = 1_000  # events of one request of the attacker
SENDERS: Final = 2
_AGENTS: Final = ("Mozilla/5.0 (X11; Linux x86_64)", "Mozilla/5.0 (iPhone)", "Opera/9 (SmartTV)")

Events = Callable[[int, int], dict[str, Any]]  # (number of the event, now in ms) → the event


def key(project: str) -> str:
    """Its write key."""
    return f"{project}-write"


@dataclass
class Sent:
    """What a project has sent and had accepted."""

    project: str
    accepted: int = 0
    minutes: Counter[int] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0


class Site:
    """A stack with a collector that knows an attacker and a victim."""

    def __init__(self, stack: Stack, port: int, collector: int) -> None:
        self.stack = stack
        self.port = port
        self.collector = collector  # pid
        self.client = redis.Redis.from_url(stack.valkey.address)
        self.hot = HotStore(self.client)
        self._lock = threading.Lock()
        # By minute, whatever was accepted since the start.
        self.sent: dict[str, Counter[int]] = {ATTACKER: Counter(), VICTIM: Counter()}

    def attack(self, events: Events, count: int) -> Sent:
        """Send `count` events in requests of `BATCH`, as fast as they are taken."""
        sent = Sent(ATTACKER)
        firsts = iter(range(0, count, BATCH))
        lock = threading.Lock()

        def work() -> None:
            with closing(HTTPConnection(HOST, self.port, timeout=60)) as link:
                while True:
                    with lock:
                        first = next(firsts, None)
                    if first is None:
                        return
                    now = int(time.time() * 1_000)
                    some = [events(n, now) for n in range(first, min(first + BATCH, count))]
                    self.post(link, sent, some, _AGENTS[first // BATCH % len(_AGENTS)])

        threads = [threading.Thread(target=work, daemon=True) for _ in range(SENDERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(600)
        return sent

    def post(
        self,
        link: HTTPConnection,
        sent: Sent,
        events: list[dict[str, Any]],
        agent: str,
        **more: Any,
    ) -> None:
        """One request, repeated while the collector is full."""
        body = json.dumps({"events": events, **more}).encode()
        headers = {"X-Write-Key": key(sent.project), "User-Agent": agent}
        headers["Content-Type"] = "application/json"
        while True:
            began = time.monotonic()
            link.request("POST", "/v1/events", body, headers)
            with link.getresponse() as answer:
                status, reply = answer.status, json.loads(answer.read())
            if status != 503:
                break
            time.sleep(0.5)
        assert status == 202, reply
        sent.slowest_s = max(sent.slowest_s, time.monotonic() - began)
        sent.accepted += reply["accepted"]
        refused = {one["index"]: one["code"] for one in reply["rejected"]}
        sent.refused.update(refused.values())
        for index, event in enumerate(events):
            if index not in refused:
                minute = event["ts"] // 60_000 * MINUTE
                sent.minutes[minute] += 1
                with self._lock:
                    self.sent[sent.project][minute] += 1

    @contextmanager
    def victim(self) -> Iterator[Sent]:
        """Twenty requests a second of three events until the block is left."""
        sent, over = Sent(VICTIM), threading.Event()

        def work() -> None:
            with closing(HTTPConnection(HOST, self.port, timeout=60)) as link:
                while not over.wait(0.05):
                    now = int(time.time() * 1_000)
                    some = [
                        {"type": "click", "user_id": f"v{n}", "ts": now, "category": f"fine{n}"}
                        for n in range(3)
                    ]
                    self.post(link, sent, some, _AGENTS[0])

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        try:
            yield sent
        finally:
            over.set()
            thread.join(60)

    def minutes(self, project: str, start: int, end: int) -> dict[int, int]:
        """Rows of each minute by the hot store, those with any."""
        rows = self.hot.series(project, (), (), start, end)[:, 0].tolist()
        return {start + MINUTE * i: count for i, count in enumerate(rows) if count}

    def shown_within(self, sent: Sent, seconds: float) -> float:
        """Seconds until the hot store has what was sent, by minute. Raises AssertionError."""
        began, found = time.monotonic(), {}
        start, end = min(sent.minutes), max(sent.minutes) + MINUTE
        wanted = {at: n for at, n in self.sent[sent.project].items() if start <= at < end}
        while time.monotonic() - began < seconds:
            found = self.minutes(sent.project, start, end)
            if found == wanted:
                return time.monotonic() - began
            time.sleep(0.2)
        raise AssertionError(f"{sent.project}: {found} instead of {wanted}")

    def closed_after(self, project: str, minute: int, seconds: float) -> float:
        """Seconds from a minute's end until it was final, as seen here. Raises AssertionError."""
        while time.time() < minute + MINUTE + seconds:
            if self.hot.status(project, minute, minute + MINUTE)[0] in (FINAL, REVISED):
                return time.time() - minute - MINUTE
            time.sleep(0.2)
        raise AssertionError(f"the minute {minute} of {project} is not final after {seconds} s")

    def memory(self) -> dict[str, float]:
        """Megabytes resident, by program; what Valkey says it uses."""
        pids: dict[str, list[int | None]] = {
            "collector": [self.collector],
            "kafka": [self.stack.kafka.pid],
            "clickhouse": [self.stack.clickhouse.pid],
            "valkey": [self.stack.valkey.pid],
        }
        found: dict[str, float] = {
            name: sum(resident_mb_of(pid) for pid in held if pid) for name, held in pids.items()
        }
        for pid in group_members(self.stack.job.pid or 0):
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            name = "jvm" if b"java" in command[0] else "worker" if _is_worker(command) else "job"
            found[name] = found.get(name, 0.0) + resident_mb_of(pid)
        info: Any = self.client.info("memory")
        return {name: round(mb) for name, mb in found.items()} | {
            "valkey used": round(info["used_memory"] / 1e6, 1)
        }


def _is_worker(command: list[bytes]) -> bool:
    return any(b"sdk_worker" in part for part in command)


@contextmanager
def site(folder: Path, *job_options: str) -> Iterator[Site]:
    """The stack, and a collector for two projects beside its own."""
    file = folder / "projects.json"
    registry = [
        {
            "name": name,
            "write_keys": [{"hash": key_hash(key(name))}],
            "read_keys": [{"hash": key_hash(f"{name}-read")}],
        }
        for name in (ATTACKER, VICTIM)
    ]
    file.write_text(json.dumps({"projects": registry}))
    with running(folder, *job_options) as stack:
        port = free_port()
        options = ["--kafka_bootstrap", stack.kafka.address, "--redis_url", stack.valkey.address]
        options += ["--projects", str(file)]
        if stack.geo is not None:
            options += ["--geo_database", str(stack.geo)]
        (folder / "second").mkdir()
        with program("collector", options, port, folder / "second") as collector:
            yield Site(stack, port, collector.pid or 0)


def distinct(number: int, now: int) -> dict[str, Any]:
    """Nothing twice: type, user and category."""
    return {"type": f"t{number}", "user_id": f"u{number}", "ts": now, "category": f"c{number}"}


def one_user(number: int, now: int) -> dict[str, Any]:
    """Nine of ten events are one user's."""
    user = "hot" if number % 10 else f"u{number}"
    return {"type": "click", "user_id": user, "ts": now}


def any_time(number: int, now: int) -> dict[str, Any]:
    """From 1970 to 2100; every tenth is of now."""
    ts = now if number % 10 == 0 else number * 7_919 % 47_500 * 86_400_000  # days to 2100
    return {"type": "click", "user_id": f"u{number % 5_000}", "ts": ts}


KINDS: Final[dict[str, Events]] = {
    "cardinality": distinct,
    "hot_key": one_user,
    "clock": any_time,
}


def main(argv: Sequence[str] | None = None) -> int:
    """One attack, and its figures as JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.attacks", description=__doc__)
    parser.add_argument("--kind", choices=sorted(KINDS), default="cardinality")
    parser.add_argument("--events", type=int, default=1_000_000)
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="attack-") as folder, site(Path(folder)) as place:
        before = place.memory()
        began = time.monotonic()
        with place.victim() as victim:
            time.sleep(5)
            sent = place.attack(KINDS[options.kind], options.events)
            took = time.monotonic() - began - 5
        figures: dict[str, Any] = {
            "kind": options.kind,
            "accepted": sent.accepted,
            "refused": dict(sent.refused),
            "seconds": round(took, 1),
            "victim_events": victim.accepted,
            "victim_slowest_answer_s": round(victim.slowest_s, 2),
            "victim_exact_after_s": round(place.shown_within(victim, 300), 1),
        }
        if options.kind != "clock":
            figures["attacker_exact_after_s"] = round(place.shown_within(sent, 300), 1)
        figures["final_after_s"] = round(place.closed_after(VICTIM, max(victim.minutes), 200), 1)
        figures |= {"memory_before": before, "memory_after": place.memory()}
    print(json.dumps(figures, indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
