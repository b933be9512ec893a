"""What tests of ClickHouse do with its writing user."""

from stores.clickhouse_client import Connection


def units(admin: Connection, project: str) -> dict[str, int]:
    """The sum of rows in each rollup."""
    return {
        unit: admin.table(
            f"SELECT sum(rows) AS n FROM streamlens.rollup_{unit} FINAL WHERE project = '{project}'"
        ).to_pylist()[0]["n"]
        for unit in ("1m", "1h", "1d")
    }
