import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from deploy.identity import group_members, start_time
from deploy.process import ManagedProcess, StartError, log_tail


class Script(ManagedProcess):
    """Runs a piece of Python; ready when it has made the file `ready`."""

    def __init__(self, folder: Path, code: str, **options: float) -> None:
        super().__init__("script", folder / "script.log", **options)  # type: ignore[arg-type]
        self.flag = folder / "ready"
        self._code = code

    def command(self) -> Sequence[str]:
        return [sys.executable, "-c", self._code, str(self.flag)]

    def is_ready(self) -> bool:
        return self.flag.exists()


READY = "import sys, time, subprocess, signal, pathlib\npathlib.Path(sys.argv[1]).touch()\n"


def test_start_waits_for_readiness_and_stop_leaves_nothing(tmp_path: Path) -> None:
    grandchild = (
        "import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', 'import time; "
        "time.sleep(600)'])\n" + READY + "time.sleep(600)"
    )
    script = Script(tmp_path, grandchild)
    script.start()
    pid = script.pid
    assert pid is not None
    assert script.identity is not None
    assert len(group_members(pid)) == 2
    script.stop()
    assert group_members(pid) == []
    assert script.poll() is not None
    script.stop()


def test_a_group_whose_leader_died_is_swept(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', 'import time; "
        "time.sleep(600)'])\n" + READY
    )
    script = Script(tmp_path, code)
    script.spawn()
    pid = script.pid
    assert pid is not None
    deadline = time.monotonic() + 20
    while script.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(group_members(pid)) == 1
    script.stop()
    assert group_members(pid) == []


def test_one_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    code = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + READY
    script = Script(tmp_path, code + "time.sleep(600)", stop_grace=0.3)
    script.start()
    script.stop()
    assert script.poll() == -9


def test_a_death_while_starting_is_one_line_with_the_end_of_the_log(tmp_path: Path) -> None:
    script = Script(tmp_path, "import sys; print('first'); print('no such disk'); sys.exit(3)")
    with pytest.raises(StartError) as caught:
        script.start()
    message = str(caught.value)
    assert "script ended with code 3 while starting" in message
    assert "no such disk" in message
    assert "\n" not in message


def test_not_ready_in_time_stops_it_again(tmp_path: Path) -> None:
    script = Script(tmp_path, "import time; time.sleep(600)", ready_within=0.3)
    with pytest.raises(StartError, match="was not ready in 0 s"):
        script.start()
    assert script.pid is not None
    assert start_time(script.pid) is None


def test_log_tail_of_nothing_and_of_binary(tmp_path: Path) -> None:
    assert log_tail(tmp_path / "none", 3) == []
    (tmp_path / "log").write_bytes(b"a\n\n\xff\nb\n" + os.urandom(0))
    assert log_tail(tmp_path / "log", 2) == ["\ufffd", "b"]
