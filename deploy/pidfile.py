"""The record of what a run has started, so that the next one can clear up after a crash."""

import fcntl
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from deploy.identity import Identity, end_all, end_group, group_members, has_mark, identify, marked


@dataclass(frozen=True)
class Leftover:
    """A child of an earlier run: its name, the leader of its group, and that run's id."""

    name: str
    leader: Identity
    run_id: str

    def members(self) -> list[int]:
        """What lives of its process group and is certainly that run's.

        With the leader alive (same pid AND same start time) the group is ours. Without it, a member
        counts only when it carries the run's mark in its environment.
        """
        members = group_members(self.leader.pid)
        if self.leader.alive():
            return members
        return [pid for pid in members if has_mark(pid, self.run_id)]

    def end(self, grace: float = 10) -> bool:
        """Stop what is left of it. Whether there was anything."""
        members = self.members()
        if not members:
            return False
        end_group(self.leader.pid, members, grace)
        return True


class PidFile:
    """`<run_dir>/local.json`, and the lock that says that a supervisor is alive."""

    def __init__(self, run_dir: Path, run_id: str) -> None:
        self.path = run_dir / "local.json"
        self._lock_path = run_dir / "lock"
        self._run_id = run_id
        self._lock: IO[str] | None = None

    def acquire(self) -> int | None:
        """Take the lock. None when taken, else the pid of the run that holds it (0: unknown).

        The kernel frees the lock when its holder dies, however it dies; children do not inherit it.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lock = self._lock_path.open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return int(self._load().get("supervisor", {}).get("pid", 0))
        self._lock = lock
        return None

    def leftovers(self) -> list[Leftover]:
        """The children that an earlier run recorded and did not remove, newest first."""
        record = self._load()
        run_id = str(record.get("run_id", ""))
        return [
            Leftover(entry["name"], Identity(entry["pid"], entry["started"]), run_id)
            for entry in reversed(record.get("children", []))
        ]

    def write(self, children: Mapping[str, Identity | None]) -> None:
        """Record the children that run now. Atomic: a reader sees the old or the new list."""
        own = identify(os.getpid())
        record = {
            "run_id": self._run_id,
            "supervisor": _entry(own),
            "children": [
                {"name": name, **_entry(identity)}
                for name, identity in children.items()
                if identity is not None
            ],
        }
        part = self.path.with_suffix(".part")
        part.write_text(json.dumps(record, indent=1))
        part.replace(self.path)

    def release(self) -> None:
        """Remove the record and free the lock, after everything has been stopped."""
        self.path.unlink(missing_ok=True)
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _load(self) -> dict[str, Any]:
        try:
            record = json.loads(self.path.read_text())
        except (OSError, ValueError):
            return {}
        return record if isinstance(record, dict) else {}


def end_leftovers(leftovers: Iterable[Leftover]) -> list[str]:
    """Stop each of them; the names of those that were still there."""
    found = list(leftovers)
    ended = [leftover.name for leftover in found if leftover.end()]
    for run_id in {leftover.run_id for leftover in found} - {""}:
        # Whoever carries the mark and was not recorded in time, or left its group.
        strays = marked(run_id)
        end_all(strays, 5, lambda run_id=run_id: marked(run_id))  # type: ignore[misc]
        ended += ["a stray process"] * len(strays)
    return ended


def _entry(identity: Identity | None) -> dict[str, int]:
    return {} if identity is None else {"pid": identity.pid, "started": identity.started}
