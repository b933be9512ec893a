"""Which process is which: a pid alone may have been given to a stranger since.

A process is known by its pid AND the time it started (field 22 of /proc/<pid>/stat, in clock ticks
since boot). A member of a process group whose leader is gone is known by a mark in its environment,
which every child of ours inherits.
"""

import os
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MARK = "STREAMLENS_RUN_ID"  # environment variable: the id of the run that a process belongs to
WORKER: Final = "beam-worker"  # the name of a process that works for a job, see name_of
_PROC = Path("/proc")


@dataclass(frozen=True)
class Identity:
    """One process for good: `started` is in clock ticks since boot."""

    pid: int
    started: int

    def alive(self) -> bool:
        """Whether this very process still runs (a zombie does not)."""
        return start_time(self.pid) == self.started


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/<pid>/stat from `state` on, or None when there is no such process."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    # The command in brackets may hold spaces and brackets itself.
    return text.rpartition(")")[2].split()


def start_time(pid: int) -> int | None:
    """When `pid` started, in clock ticks since boot; None when it is gone or a zombie."""
    fields = _stat(pid)
    if fields is None or fields[0] in "ZX":
        return None
    return int(fields[19])


def identify(pid: int) -> Identity | None:
    """The identity of the process that has this pid now."""
    started = start_time(pid)
    return None if started is None else Identity(pid, started)


def group_members(pgid: int) -> list[int]:
    """The living processes of one process group."""
    members = []
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            fields = _stat(int(entry.name))
            if fields is not None and fields[0] not in "ZX" and int(fields[2]) == pgid:
                members.append(int(entry.name))
    return members


def name_of(pid: int) -> str:
    """The name that a process has in /proc/<pid>/comm; empty when it is gone."""
    try:
        return (_PROC / str(pid) / "comm").read_text().strip()
    except OSError:
        return ""


def resident(pids: Iterable[int]) -> int:
    """Bytes of memory that these processes hold now; one that has ended holds none."""
    page = os.sysconf("SC_PAGE_SIZE")
    return sum(int(fields[21]) * page for pid in pids if (fields := _stat(pid)) is not None)


def cpu_seconds(pid: int) -> float:
    """Processor time that a process used so far, in user and system mode; 0 when it is gone."""
    fields = _stat(pid)
    return 0.0 if fields is None else sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def has_mark(pid: int, run_id: str) -> bool:
    """Whether `pid` was started, however indirectly, by the run `run_id`."""
    try:
        environment = (_PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return False
    return f"{MARK}={run_id}".encode() in environment.split(b"\0")


def signal_all(pids: Iterable[int], number: signal.Signals) -> None:
    """Send a signal to each of `pids` that is still there."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def marked(run_id: str) -> list[int]:
    """Every living process of one run, whatever its group."""
    own = os.getpid()
    pids = (int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit())
    return [pid for pid in pids if pid != own and has_mark(pid, run_id)]


def end_group(pgid: int, members: Iterable[int], grace: float) -> bool:
    """`end_all` for members of one process group."""
    return end_all(members, grace, lambda: group_members(pgid))


def end_all(known: Iterable[int], grace: float, living: Callable[[], Iterable[int]]) -> bool:
    """SIGTERM to the `known` processes, SIGKILL after `grace` seconds. Whether all are gone.

    `living` lists who is there now: a pid that is no longer in it is never signalled.
    """
    targets = set(known)
    if not targets:
        return True
    signal_all(targets, signal.SIGTERM)
    if _gone(targets, grace, living):
        return True
    signal_all(targets & set(living()), signal.SIGKILL)
    return _gone(targets, 5, living)


def _gone(targets: set[int], within: float, living: Callable[[], Iterable[int]]) -> bool:
    deadline = time.monotonic() + within
    while targets & set(living()):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
