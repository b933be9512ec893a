import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from deploy import supervisor
from deploy.identity import group_members
from deploy.pidfile import PidFile
from deploy.process import ManagedProcess
from deploy.supervisor import Backoff, GiveUp, Supervisor, Unit


class Program(ManagedProcess):
    def __init__(self, name: str, folder: Path, code: str) -> None:
        super().__init__(name, folder / f"{name}.log", stop_grace=5)
        self._code = code

    def command(self) -> Sequence[str]:
        return [sys.executable, "-c", self._code]

    def is_ready(self) -> bool:
        return True


SLEEP = "import time; time.sleep(600)"


def test_backoff_grows_and_gives_up_after_five_quick_deaths() -> None:
    backoff = Backoff()
    delays = [backoff.delay(1.0) for _ in range(6)]
    assert delays == [1.0, 2.0, 4.0, 8.0, 10.0, None]


def test_a_long_life_forgives_earlier_deaths() -> None:
    backoff = Backoff(quick_deaths=5)
    assert backoff.delay(3_600.0) == 0.5
    assert backoff.delay(1.0) == 1.0


def test_children_start_in_order_and_stop_in_reverse(tmp_path: Path) -> None:
    lines: list[str] = []
    stopping = threading.Event()
    pid_file = PidFile(tmp_path, "run")
    units = [Unit(Program(name, tmp_path, SLEEP), "nothing") for name in ("first", "second")]
    one = Supervisor(units, pid_file, lines.append, stopping)
    assert one.start()
    assert [leftover.name for leftover in pid_file.leftovers()] == ["second", "first"]
    stopping.set()
    one.run()
    one.stop()
    assert [line.split()[0] for line in lines if "stopped" in line] == ["second", "first"]
    for unit in units:
        assert unit.process.pid is not None
        assert group_members(unit.process.pid) == []
    assert pid_file.leftovers() == []


def test_a_child_that_dies_is_started_again(tmp_path: Path) -> None:
    lines: list[str] = []
    stopping = threading.Event()
    unit = Unit(Program("only", tmp_path, SLEEP), "nothing")
    one = Supervisor([unit], PidFile(tmp_path, "run"), lines.append, stopping)
    assert one.start()
    first = unit.process.pid
    assert first is not None
    watcher = threading.Thread(target=one.run)
    watcher.start()
    try:
        (pid,) = group_members(first)
        assert pid == first
        os.kill(first, signal.SIGKILL)
        deadline = time.monotonic() + 20
        while sum("ready" in line for line in lines) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        stopping.set()
        watcher.join(20)
        one.stop()
    assert unit.process.pid != first
    assert any("only" in line and "ended with code -9: starting it again" in line for line in lines)


def test_a_child_that_will_not_live_ends_the_run_with_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "MAX_QUICK_DEATHS", 0)
    code = "import sys; print('cannot read the map'); sys.exit(7)"
    program = Program("bad", tmp_path, code)
    monkeypatch.setattr(program, "is_ready", lambda: False)
    one = Supervisor([Unit(program, "a miracle")], PidFile(tmp_path, "r"), print, threading.Event())
    with pytest.raises(GiveUp) as caught:
        one.start()
    one.stop()
    assert "bad ended with code 7" in str(caught.value)
    assert "cannot read the map" in str(caught.value)


def test_a_child_that_hangs_is_ended_and_started_again(tmp_path: Path) -> None:
    lines: list[str] = []
    stopping = threading.Event()
    hangs = ["hangs (no heartbeat for 90 s)"]
    unit = Unit(
        Program("only", tmp_path, SLEEP), "nothing", hung=lambda _: hangs.pop() if hangs else None
    )
    one = Supervisor([unit], PidFile(tmp_path, "run"), lines.append, stopping)
    assert one.start()
    first = unit.process.pid
    assert first is not None
    watcher = threading.Thread(target=one.run)
    watcher.start()
    try:
        deadline = time.monotonic() + 20
        while sum("ready" in line for line in lines) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        stopping.set()
        watcher.join(20)
        one.stop()
    assert unit.process.pid != first
    assert group_members(first) == []
    assert any("only       hangs (no heartbeat for 90 s): starting it again" in li for li in lines)


def test_a_child_that_stopped_by_itself_stays_down_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "DOWN_EVERY", 1.0)
    lines: list[str] = []
    stopping = threading.Event()
    code = "import sys; print('job: limit reached: mend it\\nits JVM ends'); sys.exit(3)"
    stopped = Unit(Program("job", tmp_path, code), "nothing", stays_down=(3,), says="job: ")
    monkeypatch.setattr(stopped.process, "is_ready", lambda: False)
    other = Unit(Program("other", tmp_path, SLEEP), "nothing")
    one = Supervisor([stopped, other], PidFile(tmp_path, "run"), lines.append, stopping)
    assert one.start()
    watcher = threading.Thread(target=one.run)
    watcher.start()
    try:
        deadline = time.monotonic() + 30
        while sum("STOPPED BY ITSELF" in line for line in lines) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        stopping.set()
        watcher.join(20)
        alive = other.process.poll() is None
        one.stop()
    assert alive
    assert stopped.process.poll() == 3
    assert not any("starting it again" in line for line in lines)
    said = next(line for line in lines if "STOPPED" in line)
    assert "last word: job: limit reached: mend it (log:" in said
