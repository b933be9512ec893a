"""Minutes without a dependency, under load: what the others say meanwhile, and what they need.

`python -m tests.chaos --faults valkey-away,clickhouse-away,broker-away --rounds 3 --away 300`.
That nothing is lost or doubled is for the judge of the rounds to say.
"""

import json
import random
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

import websocket

from deploy.ports import HOST
from deploy.process import ManagedProcess
from tests.chaos.stack import Stack
from tests.integration.jobs import kill_hard
from tests.integration.waiting import wait_for

KEY: Final = "demo-read-key"
NOTICE: Final = 15.0  # seconds within which everybody has noticed, and 15 to notice the return
SILENCE: Final = 20.0  # seconds that a socket may hear nothing while the hot store is there
RECENT: Final = "/v1/metrics?start=-10m&granularity=total&metrics=events"
OLD: Final = "/v1/metrics?start=-26h&granularity=1h&metrics=events"


@dataclass
class Seen:
    """What was seen while a part was away, its first seconds excepted."""

    answers: Counter[str] = field(default_factory=Counter)  # "recent 200", "recent lacks hot", …
    messages: Counter[str] = field(default_factory=Counter)  # of the socket: its kinds
    silence: float = 0.0  # seconds, the longest between two messages
    job: Counter[str] = field(default_factory=Counter)  # as the dashboard is told
    memory: dict[str, tuple[int, int]] = field(default_factory=dict)  # MB at the blow, and most

    def told(self) -> str:
        """All of it in a line."""
        answers = ", ".join(f"{name} {count}" for name, count in sorted(self.answers.items()))
        messages = ", ".join(f"{name} {count}" for name, count in sorted(self.messages.items()))
        memory = ", ".join(f"{name} {a}→{b}" for name, (a, b) in sorted(self.memory.items()))
        job = ", ".join(f"{name} {count}" for name, count in sorted(self.job.items()))
        return (
            f"answers: {answers}; socket: {messages}, longest silence {self.silence:.0f} s;"
            f" job: {job}; MB: {memory}"
        )


def valkey(stack: Stack, _: random.Random) -> str:
    """The hot store: collectors and job go on, the service says that it has no fresh numbers."""
    seen = _without(stack.valkey, stack)
    assert seen.answers["recent lacks hot"] > 0, f"the missing hot store was not said: {seen}"
    assert seen.answers["recent whole"] == 0, f"answers without the hot store: {seen}"
    assert seen.messages["store_unavailable"] > 0, f"the socket was not told: {seen}"
    return _done(stack.valkey, stack, seen)


def clickhouse(stack: Stack, _: random.Random) -> str:
    """History: live numbers go on, questions about old times are told what is missing."""
    seen = _without(stack.clickhouse, stack)
    assert seen.answers["old lacks clickhouse"] > 0, f"missing history was not said: {seen}"
    assert seen.answers["recent whole"] > 0, f"recent minutes need no history: {seen}"
    assert seen.answers["recent lacks hot"] == 0, f"the hot store was there: {seen}"
    assert seen.silence < SILENCE, f"the socket was silent: {seen}"
    assert set(seen.job) == {"alive"}, f"the job was there: {seen}"
    return _done(stack.clickhouse, stack, seen)


def broker(stack: Stack, _: random.Random) -> str:
    """The log: collectors answer 503 with Retry-After, the service shows what it has."""
    seen = _without(stack.kafka, stack)
    assert seen.answers["recent whole"] > 0, f"the stores were there: {seen}"
    assert seen.silence < SILENCE, f"the socket was silent: {seen}"
    assert seen.answers["collector 503"] > 0, f"the collector was not unready: {seen}"
    assert seen.job["without its log"] > 0, f"the lost log was not said: {seen}"
    return _done(stack.kafka, stack, seen)


def _done(process: ManagedProcess, stack: Stack, seen: Seen) -> str:
    return f"{process.name} away for {stack.away:.0f} s; {seen.told()}"


def _without(process: ManagedProcess, stack: Stack) -> Seen:
    """Killed with -9, and started again after `stack.away` seconds; what was seen meanwhile."""
    seen = Seen(memory={name: (size, size) for name, size in stack.memory().items()})
    over = threading.Event()
    kill_hard(process)
    back = time.monotonic() + stack.away
    socket = threading.Thread(target=_listen, args=(stack, seen, over), daemon=True)
    socket.start()
    try:
        time.sleep(NOTICE)
        while time.monotonic() < back:
            _ask(stack, seen)
            for name, size in stack.memory().items():
                first, most = seen.memory.get(name, (size, size))
                seen.memory[name] = first, max(most, size)
            time.sleep(1.0)
    finally:
        over.set()
        process.start()
        socket.join(30)
    ready = f"http://{HOST}:{stack.service_port}/readyz"
    wait_for("ready service", lambda: _get(ready)[0] == 200, 60)
    return seen


def _ask(stack: Stack, seen: Seen) -> None:
    service = f"http://{HOST}:{stack.service_port}"
    for name, path in (("recent", RECENT), ("old", OLD)):
        status, body = _get(service + path)
        if status != 200:
            seen.answers[f"{name} {status}"] += 1
            continue
        missing = sorted({gap["store"] for gap in body["missing"]})
        seen.answers[f"{name} lacks {' '.join(missing)}" if missing else f"{name} whole"] += 1
    for port in stack.ports:
        seen.answers[f"collector {_get(f'http://{HOST}:{port}/readyz')[0]}"] += 1


def _get(address: str) -> tuple[int, Any]:
    request = urllib.request.Request(address, headers={"X-Read-Key": KEY})
    try:
        with urllib.request.urlopen(request, timeout=15) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def _listen(stack: Stack, seen: Seen, over: threading.Event) -> None:
    """A dashboard that is opened while the part is away."""
    socket = websocket.create_connection(
        f"ws://{HOST}:{stack.service_port}/v1/live",
        timeout=5,
        suppress_origin=True,
        header={"X-Read-Key": KEY},
    )
    socket.send(json.dumps({"type": "subscribe", "filter": {}}))
    heard = time.monotonic()
    while not over.is_set():
        try:
            message = json.loads(socket.recv())
        except websocket.WebSocketTimeoutException:
            seen.silence = max(seen.silence, time.monotonic() - heard)
            continue
        seen.silence = max(seen.silence, time.monotonic() - heard)
        heard = time.monotonic()
        seen.messages[message.get("code", message["type"])] += 1
        if "job" in message:
            job = message["job"]
            lost = "alive" if job["log_lost_since"] is None else "without its log"
            seen.job[lost if job["alive"] else "silent"] += 1
    socket.close()
