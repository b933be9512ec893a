import os
from pathlib import Path
from typing import Any

import pytest

from deploy.flink_rest import (
    FlinkError,
    FlinkRest,
    retained_checkpoint,
    self_checkpoint_names,
)
from deploy.ports import free_port


class Answers(FlinkRest):
    """A JobManager that says what the test gives it, by path."""

    def __init__(self, answers: dict[str, Any]) -> None:
        super().__init__("nowhere:0")
        self.answers = answers

    def ask(self, path: str, **_: Any) -> Any:
        return self.answers[path]


def jobs(**statuses: str) -> dict[str, Any]:
    return {"jobs": [{"id": job, "status": status} for job, status in statuses.items()]}


@pytest.mark.parametrize(
    ("state", "tasks", "runs"),
    [
        ("RUNNING", ("RUNNING", "FINISHED"), True),
        ("RUNNING", ("RUNNING", "INITIALIZING"), False),
        ("RESTARTING", ("CANCELED", "CANCELED"), False),
    ],
)
def test_a_job_runs_when_all_its_tasks_do(state: str, tasks: tuple[str, ...], runs: bool) -> None:
    about = {"state": state, "vertices": [{"status": task} for task in tasks]}
    rest = Answers({"/jobs": jobs(old="CANCELED", new=state), "/jobs/new": about})
    assert rest.running_job() == ("new" if runs else None)


def test_which_of_two_jobs_is_meant_is_not_guessed() -> None:
    with pytest.raises(FlinkError, match="2 jobs"):
        Answers({"/jobs": jobs(a="RUNNING", b="RESTARTING")}).running_job()


def test_a_savepoint_that_failed_is_an_error_with_flinks_reason(tmp_path: Path) -> None:
    rest = Answers(
        {
            "/jobs/j/savepoints": {"request-id": "t"},
            "/jobs/j/savepoints/t": {
                "status": {"id": "COMPLETED"},
                "operation": {"failure-cause": {"class": "CheckpointException"}},
            },
        }
    )
    with pytest.raises(FlinkError, match=r"no savepoint: .*CheckpointException"):
        rest.stop_with_savepoint("j", tmp_path)


def test_no_jobmanager_is_one_line() -> None:
    address = f"127.0.0.1:{free_port()}"
    with pytest.raises(FlinkError, match=f"Flink at {address} does not answer"):
        FlinkRest(address).jobs()


def test_the_newest_complete_checkpoint_of_a_dead_jobmanager(tmp_path: Path) -> None:
    assert retained_checkpoint(tmp_path) is None
    for age, folder in enumerate(("job/chk-9", "job/chk-8", "other/chk-70", "job/savepoint-1")):
        metadata = tmp_path / folder / "_metadata"
        metadata.parent.mkdir(parents=True)
        metadata.touch()
        os.utime(metadata, (1000 - age, 1000 - age))
    (tmp_path / "job/chk-10").mkdir()  # not complete
    assert retained_checkpoint(tmp_path) == tmp_path / "job/chk-9"


def test_names_of_self_checkpoints_are_read_from_all_files(tmp_path: Path) -> None:
    (tmp_path / "_metadata").write_bytes(b"\x00\x10sdf_checkpoint:0\x00\x12sdf_checkpoint:7:0\xff")
    (tmp_path / "5e0f").write_bytes(b"sdf_checkpoint:0 sdf_residuals sdf_checkpoint:12:1/")
    names = {"sdf_checkpoint:0", "sdf_checkpoint:7:0", "sdf_checkpoint:12:1"}
    assert self_checkpoint_names(tmp_path) == names
