from typing import Any

import pytest

from pipelines import main
from pipelines.options import StreamOptions


def test_auto_start_covers_every_window_that_is_still_open() -> None:
    options = StreamOptions(["--allowed_lateness=600"])
    assert options.start_ms(now=10_000.0) <= (10_000 - 600 - 60 - 60) * 1000


def test_auto_start_leaves_no_hole_after_an_outage() -> None:
    options = StreamOptions(["--allowed_lateness=600"])
    assert options.start_ms(now=10_000.0, last_seen=4_000) == (4_000 - 600 - 180) * 1000
    assert options.start_ms(now=10_000.0, last_seen=20_000) == options.start_ms(now=10_000.0)


@pytest.mark.parametrize(("start", "ms"), [("earliest", 0), ("1970-01-01T00:01:00+00:00", 60_000)])
def test_a_given_start(start: str, ms: int) -> None:
    options = StreamOptions([f"--start={start}"])
    options.check()
    assert options.start_ms() == ms


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("--start=yesterday", "no ISO time"),
        ("--start=2026-01-01T00:00:00", "no time zone"),
        ("--currency=usd", "no ISO 4217"),
        ("--refresh_seconds=0", "between"),
        ("--history_url=mysql://host/db", "none of clickhouse"),
        ("--raw_events", "needs a --history_url of ClickHouse"),
    ],
)
def test_what_cannot_work_is_one_clear_line(
    argument: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main([argument]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def _all(*arguments: str) -> dict[str, Any]:
    """Flink's own options are known to its job server only, and kept for it as text."""
    options = main.parse(arguments)
    found: dict[str, Any] = options.get_all_options(retain_unknown_options=True)
    return found


def test_flink_gets_what_this_job_needs_unless_told_otherwise() -> None:
    given = _all("--runner=FlinkRunner")
    assert given["finish_bundle_before_checkpointing"] is True
    assert given["max_bundle_time_mills"] == "20"
    assert given["experiments"] == ["disable_logging_submission_environment"]
    assert given["streaming"] is True
    own = _all("--runner=FlinkRunner", "--max_bundle_time_mills=50")
    assert own["max_bundle_time_mills"] == "50"


def test_files_make_a_bounded_job() -> None:
    assert main.parse(["--input=x.ndjson"]).get_all_options()["streaming"] is False


def test_every_option_is_documented_in_help(capsys: pytest.CaptureFixture[str]) -> None:
    actions = StreamOptions.parser()._actions
    assert [a.dest for a in actions if not a.help] == []
    assert main.main(["--runner=FlinkRunner", "--help"]) == 0
    shown = capsys.readouterr().out
    assert [a.dest for a in actions if f"--{a.dest}" not in shown] == []
