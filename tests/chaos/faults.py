"""What can happen to a part, and what a supervisor or an operator then does about it."""

import contextlib
import os
import random
import signal
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from deploy.flink_rest import FlinkError, retained_checkpoint
from deploy.process import ManagedProcess
from stores.pane import FINAL, MINUTE
from tests.chaos import outages
from tests.chaos.judge import PROJECT
from tests.chaos.stack import LATENESS, Stack
from tests.integration.jobs import kill_hard
from tests.integration.waiting import wait_for

FREEZE: Final = 20.0  # seconds
DOWN: Final = 3.0  # seconds until a supervisor starts a part again, at most

# Returns when the part is there again: what was done. A fault that waits for its moment says when.
Fault = Callable[[Stack, random.Random], "str | Blow"]


class Blow(NamedTuple):
    """What was done to a part, and when (monotonic seconds)."""

    done: str
    at: float


def _restart(process: ManagedProcess, rng: random.Random) -> str:
    kill_hard(process)
    time.sleep(rng.uniform(0, DOWN))
    process.start()
    return f"{process.name} killed and started"


def _freeze(pids: list[int], name: str) -> str:
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(FREEZE)
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    return f"{name} frozen for {FREEZE:.0f} s"


def _freeze_process(process: ManagedProcess) -> str:
    assert process.pid is not None
    return _freeze([process.pid], process.name)


def _one_collector(stack: Stack, rng: random.Random) -> ManagedProcess:
    return rng.choice(stack.collectors)


def _cut_power(stack: Stack, rng: random.Random) -> Blow:
    """kill -9 of Valkey, and what it wrote in the last second had not reached the disk.

    That is what `appendfsync everysec` promises, and about what a replica may lack that takes over.
    The moment is the worst one: the last word on a minute has just been written, and nothing late
    will ever come for it.
    """
    folder = stack.valkey.data_dir / "appendonlydir"
    minute = int(time.time()) // MINUTE * MINUTE
    minute += MINUTE * (minute // MINUTE % 2 == 0)  # odd ones get nothing late
    seen: deque[tuple[Path, int]] = deque(maxlen=10)  # the log and its size, of the last second
    deadline = time.monotonic() + 300
    while int(stack.stores.hot.status(PROJECT, minute, minute + MINUTE)[0]) != FINAL:
        seen.append(_newest(folder))
        if time.monotonic() > deadline:
            raise AssertionError("no minute closed within 300 s")
        time.sleep(0.1)
    struck = time.monotonic()
    kill_hard(stack.valkey)
    log, size = _newest(folder)
    # A log that was begun within this second, in the place of a larger one, keeps its beginning.
    left = next((before for name, before in seen if name == log), size)
    os.truncate(log, left)
    time.sleep(rng.uniform(0, DOWN))
    stack.valkey.start()
    lost = f"{size - left:,} bytes"
    return Blow(f"valkey killed and started without the last second, {lost}", struck)


def _newest(folder: Path) -> tuple[Path, int]:
    """The append-only file that is written now, and its size."""
    sizes = []
    for log in folder.glob("*.incr.aof"):
        with contextlib.suppress(FileNotFoundError):  # rewritten just now
            sizes.append((int(log.name.split(".")[-3]), log, log.stat().st_size))
    return max(sizes)[1:]


def _kill_worker(stack: Stack, _: random.Random) -> str:
    workers = wait_for("Python worker", stack.cluster.workers, 60)
    for worker in workers:
        os.kill(worker, signal.SIGKILL)
    return f"{len(workers)} Python worker killed"


def _freeze_worker(stack: Stack, _: random.Random) -> str:
    return _freeze(wait_for("Python worker", stack.cluster.workers, 60), "Python worker")


def _kill_job_manager(stack: Stack, rng: random.Random) -> str:
    """Its jobs are forgotten: submitted again from the newest checkpoint that was kept."""
    done = _restart(stack.cluster.job_manager, rng)
    checkpoint = retained_checkpoint(stack.cluster.checkpoints)
    _slots(stack)
    if checkpoint is None:
        stack.submit()
        return f"{done}; no checkpoint yet, submitted from scratch"
    stack.submit(f"--savepoint_path={checkpoint}")
    return f"{done}; submitted from {checkpoint.parent.name[:8]}/{checkpoint.name}"


def _scratch(stack: Stack, rng: random.Random) -> str:
    """Cancelled, and a new job that knows nothing, from an older offset."""
    job = stack.job()
    if job is not None:
        stack.cluster.rest.cancel(job)
    back = LATENESS + 180 + rng.randrange(600)
    older = datetime.fromtimestamp(time.time() - back, UTC).isoformat(timespec="seconds")
    start = rng.choice(("auto", "earliest", older))
    _slots(stack)
    stack.submit(f"--start={start}")
    return f"job cancelled, and a new one with --start={start}"


def _slots(stack: Stack) -> None:
    """The TaskManager is there and has let go of the job before."""

    def free() -> bool:
        try:
            about = stack.cluster.rest.ask("/overview")
        except FlinkError:
            return False
        return bool(about["slots-available"] >= stack.cluster.slots)

    wait_for("free slots", free, 120)


KINDS: Final[dict[str, Fault]] = {
    "collector-kill": lambda stack, rng: _restart(_one_collector(stack, rng), rng),
    "collector-freeze": lambda stack, rng: _freeze_process(_one_collector(stack, rng)),
    "worker-kill": _kill_worker,
    "worker-freeze": _freeze_worker,
    "taskmanager-kill": lambda stack, rng: _restart(stack.cluster.task_manager, rng),
    "taskmanager-freeze": lambda stack, _: _freeze_process(stack.cluster.task_manager),
    "jobmanager-kill": _kill_job_manager,
    "jobmanager-freeze": lambda stack, _: _freeze_process(stack.cluster.job_manager),
    "broker-kill": lambda stack, rng: _restart(stack.kafka, rng),
    "broker-freeze": lambda stack, _: _freeze_process(stack.kafka),
    "valkey-kill": lambda stack, rng: _restart(stack.valkey, rng),
    "valkey-freeze": lambda stack, _: _freeze_process(stack.valkey),
    "valkey-powercut": _cut_power,
    "clickhouse-kill": lambda stack, rng: _restart(stack.clickhouse, rng),
    "clickhouse-freeze": lambda stack, _: _freeze_process(stack.clickhouse),
    "scratch": _scratch,
}


# Minutes long, so only on demand.
OUTAGES: Final[dict[str, Fault]] = {
    "valkey-away": outages.valkey,
    "clickhouse-away": outages.clickhouse,
    "broker-away": outages.broker,
}


def strike(kind: str, stack: Stack, rng: random.Random) -> Blow:
    """One fault of a kind, and the repair."""
    began = time.monotonic()
    done = (KINDS | OUTAGES)[kind](stack, rng)
    return done if isinstance(done, Blow) else Blow(done, began)


def order(kinds: list[str], rounds: int, seed: int) -> list[str]:
    """Which fault in which round: every kind before any comes again, shuffled."""
    rng = random.Random(f"{seed}/order")
    found: list[str] = []
    while len(found) < rounds:
        found += rng.sample(kinds, len(kinds))
    return found[:rounds]
