import time
from pathlib import Path

from deploy.children import commands, lives
from deploy.process import ManagedProcess
from deploy.settings import Settings


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


def test_lives_looks_at_the_time_since_the_start(tmp_path: Path) -> None:
    child = ManagedProcess("x", tmp_path / "log")
    child.spawned_at = time.time()
    assert not lives(30)(child)
    child.spawned_at -= 31
    assert lives(30)(child)
