"""One engine over one topic, once: started, measured, compared with the truth, ended."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from benchmarks import hot_path
from benchmarks.dataset import Truth
from benchmarks.flow import Flow
from benchmarks.peers import truth as truths
from benchmarks.peers.engines import Engine
from benchmarks.peers.measure import Measured, Watch
from deploy.process import ManagedProcess, log_tail

Outcome = tuple[Measured, list[str]]  # with where the result is not the truth

_REASON: Final = 200  # letters of a log's last line
_LOOK: Final = 0.05  # seconds between two looks for the result


class PeerError(RuntimeError):
    """An engine gave no result; the message is one line."""


class Peer(ManagedProcess):
    """A peer's program. It writes its result file at once when it is done, and stays."""

    def __init__(self, engine: Engine, command: Sequence[str], log_path: Path) -> None:
        super().__init__(engine.key, log_path, environment={"PATHWAY_THREADS": "2"})
        self._command = list(command)

    def command(self) -> Sequence[str]:
        """As it was given."""
        return self._command


def run(
    flow: Flow, engine: Engine, topic: str, truth: Truth, folder: Path, within: float
) -> Outcome:
    """Let the engine read the topic from its beginning, within some seconds. Raises PeerError."""
    if engine.command is None:
        return _ours(flow, topic, truth, within)
    out = folder / f"{engine.key}.tsv"
    for stale in folder.glob(f"{out.name}*"):
        stale.unlink()
    command = engine.command(flow.kafka.address, topic, out)
    peer = Peer(engine, command, folder / f"{engine.key}.log")

    def done() -> bool:
        if peer.poll() is not None and not out.exists():
            last = " ".join(log_tail(peer.log_path, 1)) or "it said nothing"
            raise PeerError(f"ended with code {peer.poll()}: {last[:_REASON]}")
        return out.exists()

    parts = {"engine": peer.members, "kafka": flow.parts()["kafka"]}
    try:
        with Watch(_broker(flow), parts) as watch:
            peer.spawn()
            measured = _measured(watch, done, within)
    finally:
        peer.stop()
    with out.open() as lines:
        return measured, truths.differences(truth, lines)


def _ours(flow: Flow, topic: str, truth: Truth, within: float) -> Outcome:
    """Our job: its result is there when the store equals the truth, in all grouping sets.

    A store that has counted all events and stays wrong ends the run after a while.
    """
    first, end = min(truth.measures), max(truth.measures) + 60
    wrong: list[str] = []
    counted_at: float | None = None

    def done() -> bool:
        nonlocal counted_at, wrong
        if flow.counted(first, end) < truth.events:
            return False
        counted_at = counted_at or time.monotonic()
        wrong = hot_path.differences(flow, truth)
        return not wrong or time.monotonic() - counted_at > hot_path.SETTLE

    try:
        with Watch(_broker(flow), flow.parts()) as watch:
            flow.start_job(f"--topic={topic}")
            return _measured(watch, done, within), wrong
    finally:
        flow.end_job()


def _broker(flow: Flow) -> int:
    if flow.kafka.pid is None:
        raise PeerError("Kafka does not run")
    return flow.kafka.pid


def _measured(watch: Watch, done: Callable[[], bool], within: float) -> Measured:
    deadline = time.monotonic() + within
    while not done():
        if time.monotonic() > deadline:
            raise PeerError(f"no result within {within:.0f} s")
        time.sleep(_LOOK)
    return watch.end()
