"""What one asks a Flink cluster by REST: its jobs, their checkpoints, a savepoint."""

import json
import re
import time
from collections.abc import Callable, Mapping
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Final

_TIMEOUT: Final = 10.0
_ENDED: Final = frozenset({"FINISHED", "FAILED", "CANCELED"})
# A self-checkpoint's timer; with the runner's own handler its state too (see SelfCheckpoints.java).
_SELF_CHECKPOINT: Final = re.compile(rb"sdf_checkpoint(?::\d+)+")


class FlinkError(RuntimeError):
    """Flink did not answer, refused, or did not do in time what was asked; one line."""


class FlinkRest:
    """One JobManager at HOST:PORT."""

    def __init__(self, address: str) -> None:
        self.address = address

    def ask(self, path: str, *, method: str = "GET", body: Mapping[str, Any] | None = None) -> Any:
        """The parsed answer. Raises FlinkError."""
        connection = HTTPConnection(self.address, timeout=_TIMEOUT)
        try:
            payload = None if body is None else json.dumps(body)
            connection.request(method, path, payload, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
        except (OSError, HTTPException) as error:
            raise FlinkError(f"Flink at {self.address} does not answer: {error}") from None
        finally:
            connection.close()
        if answer.status >= 300:
            raise FlinkError(f"{method} {path}: {answer.status} {text[:300]}")
        return json.loads(text) if text else {}

    def task_managers(self) -> int:
        """How many have registered and not been lost."""
        return len(self.ask("/taskmanagers")["taskmanagers"])

    def jobs(self) -> dict[str, str]:
        """Job id → status (CREATED, RUNNING, RESTARTING, CANCELED, …), ended ones too."""
        return {job["id"]: job["status"] for job in self.ask("/jobs")["jobs"]}

    def running_job(self) -> str | None:
        """The id of the one job whose tasks all run, or None. Raises FlinkError for several."""
        live = [job for job, status in self.jobs().items() if status not in _ENDED]
        if len(live) > 1:
            raise FlinkError(f"{len(live)} jobs on {self.address}")
        return live[0] if live and self.all_running(live[0]) else None

    def all_running(self, job: str) -> bool:
        """Whether the job and every task of it is RUNNING."""
        about = self.ask(f"/jobs/{job}")
        states = {vertex["status"] for vertex in about["vertices"]}
        return about["state"] == "RUNNING" and states <= {"RUNNING", "FINISHED"}

    def checkpoints(self, job: str) -> dict[str, Any]:
        """Flink's own statistics: counts, latest (completed, savepoint, failed, restored)."""
        answer: dict[str, Any] = self.ask(f"/jobs/{job}/checkpoints")
        return answer

    def restored(self, job: str) -> dict[str, Any] | None:
        """What the job's state was last restored from (id, external_path, is_savepoint)."""
        found: dict[str, Any] | None = self.checkpoints(job)["latest"]["restored"]
        return found

    def completed(self, job: str) -> dict[str, Any] | None:
        """The latest completed checkpoint (id, external_path, state_size in bytes)."""
        found: dict[str, Any] | None = self.checkpoints(job)["latest"]["completed"]
        return found

    def stop_with_savepoint(self, job: str, folder: Path, within: float = 60) -> str:
        """Savepoint, then cancel: where the savepoint is. Raises FlinkError.

        Cancel and not stop: stop drains a job, and Beam's readers then end for good.
        """
        body = {"target-directory": folder.resolve().as_uri(), "cancel-job": True}
        trigger = self.ask(f"/jobs/{job}/savepoints", method="POST", body=body)["request-id"]
        answer: dict[str, Any] = {}

        def done() -> bool:
            answer.update(self.ask(f"/jobs/{job}/savepoints/{trigger}"))
            return bool(answer["status"]["id"] == "COMPLETED")

        _until(f"savepoint of {job}", done, within)
        if "location" not in answer["operation"]:
            raise FlinkError(f"no savepoint: {str(answer['operation'])[:300]}")
        _until(f"end of {job}", lambda: self.jobs()[job] in _ENDED, within)
        return str(answer["operation"]["location"])

    def cancel(self, job: str, within: float = 60) -> None:
        """End a job; its retained checkpoint stays. Raises FlinkError."""
        self.ask(f"/jobs/{job}", method="PATCH")
        _until(f"end of {job}", lambda: self.jobs()[job] in _ENDED, within)


def retained_checkpoint(folder: Path) -> Path | None:
    """The newest complete checkpoint below `folder` (FOLDER/JOB/chk-N), or None.

    Looks at the files, so it also serves when the JobManager that knew the job is dead.
    """
    found = [path for path in folder.rglob("_metadata") if path.parent.name.startswith("chk-")]
    return max(found, key=lambda path: path.stat().st_mtime).parent if found else None


def self_checkpoint_names(checkpoint: Path) -> set[str]:
    """The names that self-checkpoints of splittable DoFns have in a checkpoint's folder.

    As many as residuals wait for one element, so one or two: Flink keeps each name of a state for
    ever, and a checkpoint with more and more of them grows (apache/beam#27648). Raises
    FileNotFoundError when Flink removes the checkpoint meanwhile.
    """
    found = {
        name.decode()
        for file in checkpoint.iterdir()
        for name in _SELF_CHECKPOINT.findall(file.read_bytes())
    }
    (checkpoint / "_metadata").stat()  # all that was there is still there
    return found


def _until(what: str, done: Callable[[], bool], within: float) -> None:
    deadline = time.monotonic() + within
    while not done():
        if time.monotonic() > deadline:
            raise FlinkError(f"no {what} within {within:.0f} s")
        time.sleep(0.1)
