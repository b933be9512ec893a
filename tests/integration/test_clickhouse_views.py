"""Hours, days and migrations on a real ClickHouse server."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from deploy.clickhouse import ClickHouseServer
from deploy.ports import free_port
from stores import clickhouse_schema
from stores.clickhouse import ClickHouseStore
from stores.clickhouse_client import Address, Connection
from stores.clickhouse_schema import migrate, refresh
from stores.clickhouse_tables import ROLLUP_VIEWS, Options
from stores.contract import (
    DAY,
    HAS_FINAL,
    HAS_REVISED,
    HOUR,
    Slice,
    edges,
)
from stores.pane import MINUTE, REVISED
from tests.integration.clickhouse_tools import units
from tests.integration.store_contract import pane

pytestmark = pytest.mark.integration


def test_hours_and_days_are_the_sums_of_their_minutes(
    clickhouse_store: ClickHouseStore, clickhouse_admin: Connection
) -> None:
    """And late data reach the hour and the day of long ago."""
    start = int(time.time()) // DAY * DAY - 40 * DAY
    minutes = [pane(start + at * MINUTE, at + 1, project="sums") for at in range(0, 2_000, 7)]
    clickhouse_store.write(minutes)
    refresh(clickhouse_admin)
    assert units(clickhouse_admin, "sums") == sums([part.measures[0, 0] for part in minutes])
    late = pane(start + 13 * MINUTE, 1_000, project="sums", status=REVISED)
    clickhouse_store.write([late, pane(start + 7 * MINUTE, 5, project="sums")])  # more, and fewer
    refresh(clickhouse_admin)
    expected = sums([*(part.measures[0, 0] for part in minutes), 1_000])
    assert units(clickhouse_admin, "sums") == expected
    status = clickhouse_admin.table(
        "SELECT status FROM streamlens.rollup_1d FINAL WHERE project = 'sums' ORDER BY day"
    )
    assert status.column("status").to_pylist() == [HAS_FINAL | HAS_REVISED, HAS_FINAL]


def test_a_refresh_looks_back_to_the_last_complete_one(
    clickhouse_store: ClickHouseStore, clickhouse_admin: Connection
) -> None:
    """However long ago that was, and also when a later one was cut off between two blocks."""
    start = int(time.time()) // DAY * DAY - 30 * DAY
    refresh(clickhouse_admin)
    hour = 3_600
    clickhouse_store.write([pane(start, 3, project="marks")])
    # Written three hours ago, while a refresh of an hour ago has done other hours only.
    clickhouse_admin.command(
        "ALTER TABLE streamlens.rollup_1m UPDATE written_at = written_at - 10800"
        " WHERE project = 'marks' SETTINGS mutations_sync = 1"
    )
    clickhouse_admin.command(
        "INSERT INTO streamlens.rollup_1h (project, hour, refreshed_at)"
        f" VALUES ('other', toDateTime({start}), now() - {hour})"
    )
    clickhouse_admin.command(
        "ALTER TABLE streamlens.refresh_marks DELETE WHERE 1 SETTINGS mutations_sync = 1"
    )
    clickhouse_admin.command(
        "INSERT INTO streamlens.refresh_marks"
        " SELECT concat('rollup_1', u, '_view'), now() - 4 * 3600 + n * 60 AS at"
        " FROM (SELECT arrayJoin(['h', 'd']) AS u, arrayJoin([0, 1, 2]) AS n)"
    )
    refresh(clickhouse_admin)
    assert units(clickhouse_admin, "marks") == {"1m": 3, "1h": 3, "1d": 3}


def test_days_see_hours_of_a_refresh_that_ended_after_theirs_began(
    clickhouse_admin: Connection,
) -> None:
    """However long it took: a refresh of hours stamps its rows with when it began."""
    now = int(time.time())
    began = {"rollup_1h_view": (0, 1_200, 2_400), "rollup_1d_view": (2_300,)}
    marks = [(view, now - 9_000 + at) for view, times in began.items() for at in times]
    clickhouse_admin.command("TRUNCATE TABLE streamlens.refresh_marks")
    values = ", ".join(f"('{view}', toDateTime({at}))" for view, at in marks)
    clickhouse_admin.command(f"INSERT INTO streamlens.refresh_marks VALUES {values}")
    # Began at 600, ended after 2,300.
    clickhouse_admin.command(
        "INSERT INTO streamlens.rollup_1h (project, hour, rows, version, refreshed_at)"
        f" VALUES ('slow', toDateTime({now // HOUR * HOUR}), 3, 12, toDateTime({now - 8_400}))"
    )
    clickhouse_admin.command("SYSTEM REFRESH VIEW streamlens.rollup_1d_view")
    clickhouse_admin.command("SYSTEM WAIT VIEW streamlens.rollup_1d_view")
    assert units(clickhouse_admin, "slow") == {"1m": 0, "1h": 3, "1d": 3}
    refresh(clickhouse_admin)


def test_views_that_have_not_run_cost_no_numbers(clickhouse: ClickHouseServer) -> None:
    """Hours and days are read only as far as their views have really come."""
    url = clickhouse.address.replace("/streamlens", "/streamlens_idle")
    connection = Connection(Address.parse(url), 60, {})
    migrate(connection, Options(refresh_seconds=86_400))
    for view in (*ROLLUP_VIEWS, "refresh_marks_view"):
        connection.command(f"SYSTEM STOP VIEW streamlens_idle.{view}")
    connection.command("TRUNCATE TABLE streamlens_idle.refresh_marks")
    idle = ClickHouseStore(url)
    day = int(time.time()) // DAY * DAY - 9 * DAY
    idle.write([pane(day + at * HOUR, 1, project="idle") for at in range(30)])
    for step in (HOUR, DAY, 0):
        ask = Slice("idle", (), edges(day, day + 2 * DAY, step))
        assert int(idle.counts(ask).measures[0, :, 0].sum()) == 30
        assert int((idle.completeness("idle", ask.edges) == HAS_FINAL).sum()) in (30, 2, 1)
    idle.close()
    connection.close()


def test_two_migrate_at_once_and_the_command_shows_it(
    clickhouse: ClickHouseServer, capsys: pytest.CaptureFixture[str]
) -> None:
    url = clickhouse.address.replace("/streamlens", "/streamlens_twice")
    arguments = ["--url", url, "migrate", "--refresh_seconds", "86400", "--minute_days", "7"]
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(clickhouse_schema.main, [arguments] * 4)) == {0}
    capsys.readouterr()
    assert clickhouse_schema.main(["--url", url, "show"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert [line[:1] for line in shown[:4]] == ["1", "2", "3", "4"]
    assert [line.split(":")[0] for line in shown[4:]] == [
        "refresh_marks_view",
        "rollup_1d_view",
        "rollup_1h_view",
    ]
    assert clickhouse_schema.main(["--url", f"clickhouse://127.0.0.1:{free_port()}", "show"]) == 1
    assert "fails" in capsys.readouterr().err


def test_a_rebuild_makes_hours_and_days_again(
    clickhouse: ClickHouseServer, clickhouse_store: ClickHouseStore, clickhouse_admin: Connection
) -> None:
    day = int(time.time()) // DAY * DAY - 20 * DAY
    clickhouse_store.write([pane(day + at * HOUR, 1 + at, project="again") for at in (1, 3, 25)])
    date = time.strftime("%Y-%m-%d", time.gmtime(day))
    command = ["--url", clickhouse.address, "rebuild", "--from", date, "--to", date]
    assert clickhouse_schema.main(command) == 0
    assert units(clickhouse_admin, "again") == {"1m": 32, "1h": 6, "1d": 6}


def sums(rows: Sequence[int]) -> dict[str, int]:
    return dict.fromkeys(("1m", "1h", "1d"), int(sum(rows)))
