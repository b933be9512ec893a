"""What tests of ClickHouse do with its writing user."""

from stores.clickhouse_client import Connection


def refresh(admin: Connection) -> None:
    """Hours, then days, as the timers of the views would."""
    for view in ("rollup_1h_view", "refresh_marks_view", "rollup_1d_view", "refresh_marks_view"):
        admin.command(f"SYSTEM REFRESH VIEW streamlens.{view}")
        admin.command(f"SYSTEM WAIT VIEW streamlens.{view}")


def units(admin: Connection, project: str) -> dict[str, int]:
    """The sum of rows in each rollup."""
    return {
        unit: admin.table(
            f"SELECT sum(rows) AS n FROM streamlens.rollup_{unit} FINAL WHERE project = '{project}'"
        ).to_pylist()[0]["n"]
        for unit in ("1m", "1h", "1d")
    }
