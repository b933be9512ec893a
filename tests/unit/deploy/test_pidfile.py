import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.identity import MARK, Identity, group_members, identify, marked
from deploy.pidfile import PidFile, end_leftovers

SLEEP = "import time; time.sleep(600)"
ORPHAN = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEP!r}])"


@contextmanager
def child(code: str, run_id: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, MARK: run_id},
        start_new_session=True,
    )
    try:
        yield process
    finally:
        for pid in group_members(process.pid):
            os.kill(pid, 9)
        process.wait(10)


def test_a_crashed_run_leaves_a_record_that_the_next_clears_up(tmp_path: Path) -> None:
    with child(SLEEP, "old-run") as leftover:
        crashed = PidFile(tmp_path, "old-run")
        crashed.write({"kafka": identify(leftover.pid), "gone": None})

        following = PidFile(tmp_path, "new-run")
        assert following.acquire() is None
        assert end_leftovers(following.leftovers()) == ["kafka"]
        assert leftover.wait(10) == -15
        assert end_leftovers(following.leftovers()) == []
        following.release()
        assert not following.path.exists()


def test_a_stranger_with_the_recorded_pid_is_left_alone(tmp_path: Path) -> None:
    with child(SLEEP, "somebody-else") as stranger:
        known = identify(stranger.pid)
        assert known is not None
        PidFile(tmp_path, "old-run").write({"kafka": Identity(known.pid, known.started - 1)})
        assert end_leftovers(PidFile(tmp_path, "new-run").leftovers()) == []
        assert stranger.poll() is None


def test_orphans_of_a_dead_leader_are_known_by_their_mark(tmp_path: Path) -> None:
    with child(ORPHAN, "old-run") as leader:
        known = identify(leader.pid) or Identity(leader.pid, 1)
        leader.wait(20)
        assert len(group_members(leader.pid)) == 1
        PidFile(tmp_path, "old-run").write({"pipeline": known})
        assert end_leftovers(PidFile(tmp_path, "new-run").leftovers()) == ["pipeline"]
        assert group_members(leader.pid) == []


def test_a_marked_process_that_was_never_recorded_is_found_too(tmp_path: Path) -> None:
    with child(SLEEP, "run-7") as recorded, child(SLEEP, "run-7") as unrecorded:
        PidFile(tmp_path, "run-7").write({"kafka": identify(recorded.pid)})
        ended = end_leftovers(PidFile(tmp_path, "run-8").leftovers())
        assert ended == ["kafka", "a stray process"]
        assert unrecorded.wait(10) == -15
        assert marked("run-7") == []


def test_a_second_run_is_told_who_holds_the_lock(tmp_path: Path) -> None:
    first, second = PidFile(tmp_path, "a"), PidFile(tmp_path, "b")
    assert first.acquire() is None
    first.write({})
    assert second.acquire() == os.getpid()
    first.release()
    assert second.acquire() is None
    second.release()


def test_a_broken_record_is_no_record(tmp_path: Path) -> None:
    for text in ("", "{", "[]", json.dumps({"run_id": "x"})):
        (tmp_path / "local.json").write_text(text)
        assert PidFile(tmp_path, "new").leftovers() == []
