import time
from pathlib import Path

from deploy import children
from deploy.children import Stalled, commands, lives
from deploy.process import ManagedProcess
from deploy.settings import Settings
from pipelines import main


def test_every_child_is_told_the_same_addresses() -> None:
    table = commands(Settings(kafka_port=1, valkey_port=2, collector_port=3), Path("j"), Path("g"))
    assert list(table) == ["pipeline", "collector", "service", "demo"]
    for name in ("pipeline", "collector"):
        assert "--kafka_bootstrap=127.0.0.1:1" in table[name]
        assert "--redis_url=redis://127.0.0.1:2/0" in table[name]
    assert "--flink_job_server_jar=j" in table["pipeline"]
    assert "--geo_database=g" in table["collector"]
    assert "--collector_url=http://127.0.0.1:3" in table["service"]
    assert "http://127.0.0.1:3" in table["demo"]


def test_history_is_written_by_one_user_and_read_by_another() -> None:
    table = commands(Settings(clickhouse_port=4), Path("j"), None)
    assert "--history_url=clickhouse://default@127.0.0.1:4/streamlens" in table["pipeline"]
    assert "--raw_events" in table["pipeline"]
    assert "--history_url=clickhouse://reader@127.0.0.1:4/streamlens" in table["service"]


def test_history_and_raw_events_can_be_left_out() -> None:
    without = commands(Settings(raw_events=0), Path("j"), None)
    assert "--raw_events" not in without["pipeline"]
    none = commands(Settings(history=0), Path("j"), None)
    assert not [
        word for name in ("pipeline", "service") for word in none[name] if "history" in word
    ]


def test_without_a_country_database_the_option_is_left_out() -> None:
    assert not [
        word for word in commands(Settings(), Path("j"), None)["collector"] if "geo" in word
    ]


def test_every_program_is_told_its_own_range_of_ports_for_metrics() -> None:
    settings = Settings(
        collector_metrics_port=1, service_metrics_port=2, job_metrics_port=0, log_format="json"
    )
    table = commands(settings, Path("j"), None)
    for name, port in (("collector", 1), ("service", 2), ("pipeline", 0)):
        expected = {"--metrics_host=127.0.0.1", f"--metrics_port={port}", "--log_format=json"}
        assert expected <= set(table[name])


class Heart:
    """A beat, a clock, and a child that has them."""

    def __init__(self, folder: Path) -> None:
        self.now, self.beat = 1_000.0, 77
        self.away = False
        self.child = ManagedProcess("job", folder / "log")
        self.child.spawned_at = 5.0
        self.stalled = Stalled(lambda: None if self.away else self.beat, 60, lambda: self.now)

    def after(self, seconds: float) -> str | None:
        self.now += seconds
        return self.stalled(self.child)


def test_a_job_without_a_heartbeat_hangs(tmp_path: Path) -> None:
    heart = Heart(tmp_path)
    assert [heart.after(10) for _ in range(6)] == [None] * 6
    assert heart.after(10) == "hangs (no heartbeat for 60 s)"


def test_a_job_that_beats_does_not_hang(tmp_path: Path) -> None:
    heart = Heart(tmp_path)
    for _ in range(20):
        heart.beat += 50
        assert heart.after(50) is None


def test_a_store_that_was_away_is_not_a_job_that_hangs(tmp_path: Path) -> None:
    heart = Heart(tmp_path)
    heart.after(10)
    heart.away = True
    assert heart.after(100) is None
    heart.away = False
    assert heart.after(10) is None  # the last beat is old: that is the store's fault
    assert heart.after(59) is None
    assert heart.after(6) == "hangs (no heartbeat for 65 s)"


def test_a_new_start_begins_anew(tmp_path: Path) -> None:
    heart = Heart(tmp_path)
    heart.after(10)
    heart.child.spawned_at = 900.0
    assert heart.after(70) is None


def test_the_store_is_asked_seldom(tmp_path: Path) -> None:
    heart = Heart(tmp_path)
    looks: list[int] = []
    heart.stalled = Stalled(lambda: looks.append(1) or 1, 60, lambda: heart.now)  # type: ignore[func-returns-value]
    for _ in range(100):
        heart.after(0.5)
    assert len(looks) == 10


def test_lives_looks_at_the_time_since_the_start(tmp_path: Path) -> None:
    child = ManagedProcess("x", tmp_path / "log")
    child.spawned_at = time.time()
    assert not lives(30)(child)
    child.spawned_at -= 31
    assert lives(30)(child)


def test_the_job_s_exit_code_for_having_stopped_itself_is_the_one_known_here() -> None:
    assert children.STOPPED == main.STOPPED
    assert (
        "--dead_letter_limit=off"
        in commands(Settings(dead_letter_limit="off"), Path("j"), None)["pipeline"]
    )
