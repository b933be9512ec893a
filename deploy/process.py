"""A server as a child process: started in its own process group, waited for, stopped as a group."""

import contextlib
import os
import subprocess
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

from deploy.identity import MARK, Identity, end_group, group_members, has_mark, identify

TAIL_LINES = 3  # of the log in a one-line error
MAX_LOG_BYTES = 20_000_000  # a log over this is set aside as <name>.log.1 at the next start

Progress = Callable[[float], None]  # called with the seconds waited so far


class StartError(RuntimeError):
    """A server did not come up; the message is one line with the end of its log."""


def log_tail(path: Path, lines: int) -> list[str]:
    """The last non-empty lines of a log file; empty when there is none."""
    try:
        with path.open("rb") as log:
            log.seek(0, os.SEEK_END)
            log.seek(max(0, log.tell() - 16_384))
            text = log.read().decode(errors="replace")
    except OSError:
        return []
    return [line.rstrip() for line in text.splitlines() if line.strip()][-lines:]


class ManagedProcess:
    """One child process. `start()` returns when it is ready; `stop()` leaves nothing of it.

    Subclasses override `prepare` (before the start), `command` and `is_ready`.
    """

    def __init__(
        self,
        name: str,
        log_path: Path,
        *,
        environment: Mapping[str, str] | None = None,
        ready_within: float = 60,
        stop_grace: float = 10,
    ) -> None:
        self.name = name
        self.log_path = log_path
        self.ready_within = ready_within
        self.stop_grace = stop_grace
        self._environment = {MARK: uuid.uuid4().hex, **(environment or {})}
        self._child: subprocess.Popen[bytes] | None = None  # the latest, kept for its exit code
        self._running: subprocess.Popen[bytes] | None = None  # the same until `stop` has swept it
        self.spawned_at = 0.0  # unix seconds

    def prepare(self) -> None:
        """Whatever has to be on disk before the process starts."""

    def command(self) -> Sequence[str]:
        """The command line, made at each start."""
        raise NotImplementedError

    def is_ready(self) -> bool:
        """Whether the server does its work. Quick (about a second at most), and never raises."""
        raise NotImplementedError

    @property
    def pid(self) -> int | None:
        """The pid of the group's leader, or None before `spawn`."""
        return None if self._child is None else self._child.pid

    @property
    def identity(self) -> Identity | None:
        """Pid and start time of the running process, or None."""
        return None if self._child is None or self.poll() is not None else identify(self._child.pid)

    def members(self) -> list[int]:
        """The living processes of its group; none before `spawn`."""
        return [] if self._child is None else group_members(self._child.pid)

    def poll(self) -> int | None:
        """The exit code, or None while it runs (or was never started)."""
        return None if self._child is None else self._child.poll()

    def spawn(self) -> None:
        """Start the process without waiting for readiness."""
        if self._child is not None and self._child.poll() is None:
            raise RuntimeError(f"{self.name} is running already (pid {self._child.pid})")
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        if self.log_path.exists() and self.log_path.stat().st_size > MAX_LOG_BYTES:
            self.log_path.replace(self.log_path.with_suffix(".log.1"))
        self.prepare()
        command = list(self.command())
        self.spawned_at = time.time()
        with self.log_path.open("ab") as log:
            self._child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self._environment},
                start_new_session=True,
            )
        self._running = self._child

    def start(self, progress: Progress | None = None) -> None:
        """Spawn and wait until ready. Raises `StartError`, with the process stopped again."""
        self.spawn()
        began = time.monotonic()
        try:
            while not self.is_ready():
                waited = time.monotonic() - began
                code = self.poll()
                if code is not None:
                    raise StartError(self.failure(f"ended with code {code} while starting"))
                if waited > self.ready_within:
                    raise StartError(self.failure(f"was not ready in {self.ready_within:.0f} s"))
                if progress is not None:
                    progress(waited)
                time.sleep(0.1)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """SIGTERM to the whole group, SIGKILL after the grace time. Harmless when not running."""
        child, self._running = self._running, None
        if child is None:
            return
        group = group_members(child.pid)
        if child.poll() is not None:
            # The leader has been reaped: its number may be a stranger's by now, the mark is not.
            group = [pid for pid in group if has_mark(pid, self._environment[MARK])]
        end_group(child.pid, group, self.stop_grace)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(5)

    def failure(self, what: str) -> str:
        """One line: who, what, and how the log ends."""
        tail = " | ".join(log_tail(self.log_path, TAIL_LINES)) or "nothing"
        return f"{self.name} {what}; {self.log_path} ends with: {tail}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
