"""Starts children in order, restarts those that die or hang, stops all in reverse order.

One that stopped by itself, and would only do so again, stays down; the others go on, and it is said
every minute.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from deploy.pidfile import PidFile
from deploy.process import ManagedProcess, StartError, log_tail

QUICK_DEATH = 30.0  # seconds: a child that lived shorter died at once
MAX_QUICK_DEATHS = 5  # in a row; one more and the supervisor gives up
PROGRESS_EVERY = 5.0  # seconds between two lines about the same wait
DOWN_EVERY = 60.0  # seconds between two lines about a child that stays down
WORD_LINES = 200  # of the log of a child that stays down
GIVE_UP_LINES = 20  # of the log of the child that would not live

Say = Callable[[str], None]


class GiveUp(RuntimeError):
    """A child cannot be kept alive; the message ends with the tail of its log."""


@dataclass
class Backoff:
    """How long to wait before the next start of a child, by how it died so far."""

    quick_deaths: int = 0

    def delay(self, lived: float) -> float | None:
        """Seconds to wait after a child that lived `lived` seconds; None: give up."""
        if lived >= QUICK_DEATH:
            self.quick_deaths = 0
            return 0.5
        self.quick_deaths += 1
        if self.quick_deaths > MAX_QUICK_DEATHS:
            return None
        return float(min(0.5 * 2**self.quick_deaths, 10.0))


@dataclass
class Unit:
    """One child and what the supervisor knows of it."""

    process: ManagedProcess
    waiting_for: str  # what readiness means, for the progress lines
    after_ready: Callable[[], None] = lambda: None  # each time it became ready; may raise
    hung: Callable[[ManagedProcess], str | None] = lambda _: None  # asked while ready: why, or None
    stays_down: tuple[int, ...] = ()  # exit codes after which a start would be of no use
    says: str = ""  # how the line of its log begins that tells why, when it stays down
    backoff: Backoff = field(default_factory=Backoff)
    down: str | None = None  # that line, when it stays down
    say_at: float = 0.0  # monotonic seconds, of the next line about that
    ready: bool = False
    restart_at: float | None = None  # monotonic seconds; None: it runs
    began: float = 0.0

    @property
    def name(self) -> str:
        return self.process.name


class Supervisor:
    """Runs `units` until `stopping` is set or a child cannot be kept alive."""

    def __init__(
        self, units: Sequence[Unit], pid_file: PidFile, say: Say, stopping: threading.Event
    ) -> None:
        self._units = units
        self._pid_file = pid_file
        self._say = say
        self._stopping = stopping
        self._started: list[Unit] = []

    def start(self) -> bool:
        """Start all, each after the one before is ready. False when told to stop meanwhile.

        Raises `GiveUp`.
        """
        for unit in self._units:
            if self._stopping.is_set():
                return False
            self._started.append(unit)
            began, next_line = time.monotonic(), PROGRESS_EVERY
            self._spawn(unit)
            while not unit.ready and unit.down is None:
                if self._stopping.wait(0.2):
                    return False
                self._watch()
                waited = time.monotonic() - began
                if not unit.ready and waited > next_line:
                    next_line += PROGRESS_EVERY
                    self._say(f"{unit.name:<10} waiting for {unit.waiting_for} ({waited:.0f} s)")
        return True

    def run(self) -> None:
        """Watch the children until `stopping` is set. Raises `GiveUp`."""
        while not self._stopping.wait(0.5):
            self._watch()

    def stop(self) -> None:
        """Stop what was started, the last first. Every child is tried whatever another does."""
        while self._started:
            unit = self._started.pop()
            if unit.process.pid is not None:
                unit.process.stop()
                self._say(f"{unit.name:<10} stopped")
            self._record()

    def _spawn(self, unit: Unit) -> None:
        unit.ready, unit.restart_at, unit.began = False, None, time.monotonic()
        try:
            unit.process.spawn()
        except (StartError, OSError) as error:
            self._died(unit, f"could not be started: {error}")
            return
        self._record()

    def _watch(self) -> None:
        for unit in self._started:
            if unit.down is not None:
                self._say_down(unit)
                continue
            if unit.restart_at is not None:
                if time.monotonic() >= unit.restart_at:
                    self._spawn(unit)
                continue
            code = unit.process.poll()
            if code is not None and code in unit.stays_down:
                self._stay_down(unit)
            elif code is not None:
                self._died(unit, f"ended with code {code}")
            elif not unit.ready:
                self._check_ready(unit)
            elif (hangs := unit.hung(unit.process)) is not None:
                self._died(unit, hangs)

    def _check_ready(self, unit: Unit) -> None:
        waited = time.monotonic() - unit.began
        if unit.process.is_ready():
            unit.after_ready()
            unit.ready = True
            self._say(f"{unit.name:<10} ready after {waited:.1f} s (pid {unit.process.pid})")
        elif waited > unit.process.ready_within:
            raise self._give_up(unit, f"was not ready in {unit.process.ready_within:.0f} s")

    def _died(self, unit: Unit, how: str) -> None:
        unit.process.stop()  # all of one that hangs, or what is left of its group, such as a JVM
        unit.ready = False
        self._record()
        delay = unit.backoff.delay(time.monotonic() - unit.began)
        if delay is None:
            raise self._give_up(unit, f"{how}, {MAX_QUICK_DEATHS + 1} times in a row")
        unit.restart_at = time.monotonic() + delay
        log = unit.process.log_path
        self._say(f"{unit.name:<10} {how}: starting it again in {delay:.1f} s (log: {log})")

    def _stay_down(self, unit: Unit) -> None:
        unit.process.stop()
        unit.ready = False
        self._record()
        lines = log_tail(unit.process.log_path, WORD_LINES)  # others of its group may speak last
        said = [line for line in lines if line.startswith(unit.says)]
        unit.down = said[-1] if said else "nothing"
        self._say_down(unit)

    def _say_down(self, unit: Unit) -> None:
        if time.monotonic() < unit.say_at:
            return
        unit.say_at = time.monotonic() + DOWN_EVERY
        self._say(
            f"{unit.name:<10} STOPPED BY ITSELF, and is not started again; the others go on. Its "
            f"last word: {unit.down} (log: {unit.process.log_path})"
        )

    def _give_up(self, unit: Unit, how: str) -> GiveUp:
        path = unit.process.log_path
        tail = "\n".join(f"  {line}" for line in log_tail(path, GIVE_UP_LINES))
        return GiveUp(f"{unit.name} {how}; the end of {path}:\n{tail}")

    def _record(self) -> None:
        self._pid_file.write({unit.name: unit.process.identity for unit in self._started})
