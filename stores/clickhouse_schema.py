"""The command that makes and changes the tables of history in ClickHouse.

python -m stores.clickhouse_schema --url clickhouse://default@127.0.0.1:8123/streamlens migrate

Everything is idempotent: a migration that has been applied may be applied again, by two processes
at once as well. `rebuild` computes hours and days again from their minutes, where the views could
not see what was written (an INSERT … SELECT that ran longer than their margin, for one).
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import fields
from datetime import UTC, datetime

import pyarrow as pa
from clickhouse_connect.driver import exceptions

from stores.clickhouse_client import Address, Connection
from stores.clickhouse_tables import (
    MARKS_VIEW,
    ROLLUP_VIEWS,
    Options,
    migrations,
    recompute,
    settings,
    target_columns,
)
from stores.contract import DAY, StoreUnavailable, TooMuch

_STATEMENT_SECONDS = 3_600  # of one statement: a rebuilt day of a large project takes minutes


def migrate(connection: Connection, options: Options | None = None) -> int:
    """Bring the database up to date; returns its version. Raises StoreUnavailable."""
    options = options or Options()
    database = connection.address.database
    connection.command(f"CREATE DATABASE IF NOT EXISTS {database}")
    connection.command(
        f"CREATE TABLE IF NOT EXISTS {database}.schema_version"
        " (version UInt32, title String, applied_at DateTime('UTC') DEFAULT now())"
        " ENGINE = ReplacingMergeTree ORDER BY version"
    )
    done = {version for version, _, _ in applied(connection)}
    known = migrations(database, options)
    for version, title, statements in known:
        if version in done:
            continue
        for statement in statements:
            connection.command(statement)
        row = pa.table({"version": pa.array([version], pa.uint32()), "title": [title]})
        connection.insert(f"INSERT INTO {database}.schema_version (version, title)", row)
    for statement in settings(database, options):
        connection.command(statement)
    return known[-1][0]


def applied(connection: Connection) -> list[tuple[int, str, str]]:
    """Version, title and time of each applied migration."""
    rows = connection.table(
        "SELECT version, title, toString(applied_at) AS applied_at"
        f" FROM {connection.address.database}.schema_version FINAL ORDER BY version"
    ).to_pylist()
    return [(row["version"], row["title"], row["applied_at"]) for row in rows]


def views(connection: Connection) -> list[dict[str, str]]:
    """How each refreshable view fares since the server's start."""
    rows: list[dict[str, str]] = connection.table(
        "SELECT view, status, ifNull(toString(last_success_time), 'never') AS success,"
        " if(exception = '', '', concat(', failed: ', substring(exception, 1, 300))) AS exception"
        " FROM system.view_refreshes WHERE database = {database:String} ORDER BY view",
        {"database": connection.address.database},
    ).to_pylist()
    return rows


def refresh(connection: Connection) -> None:
    """Hours, then days, now and not when the views' timers are due. Returns when it is done."""
    for view in ROLLUP_VIEWS:
        for each in (view, MARKS_VIEW):
            connection.command(f"SYSTEM REFRESH VIEW {connection.address.database}.{each}")
            connection.command(f"SYSTEM WAIT VIEW {connection.address.database}.{each}")


def rebuild(connection: Connection, start: int, end: int) -> Iterator[int]:
    """Recompute the hours and days of the days from `start` to `end` (epoch seconds), day by day.

    Yields each day when it is done. A row of equal version is replaced, a larger one stays.
    """
    database = connection.address.database
    for day in range(start // DAY * DAY, end, DAY):
        span = f">= toDateTime({day}) AND {{}} < toDateTime({day + DAY})"
        for unit, source, column in (("hour", "1m", "minute"), ("day", "1h", "hour")):
            where = f"{column} {span.format(column)}"
            select = recompute(database, unit, source, column, where)
            target = f"{database}.rollup_1{unit[0]} ({target_columns(unit)})"
            connection.command(f"INSERT INTO {target} {select}")
        yield day


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 1 and one line when the server refuses or is not there."""
    parser = argparse.ArgumentParser(prog="python -m stores.clickhouse_schema")
    parser.add_argument(
        "--url", required=True, help="clickhouse://user:password@host:8123/database"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("migrate", help="make or change the tables; harmless when done")
    for option in fields(Options):
        up.add_argument(f"--{option.name}", type=int, default=option.default)
    commands.add_parser("show", help="which migrations have been applied")
    again = commands.add_parser("rebuild", help="compute hours and days again from their minutes")
    for name, which in (("--from", "first"), ("--to", "last")):
        again.add_argument(
            name,
            dest=which,
            required=True,
            type=_day,
            metavar="YYYY-MM-DD",
            help=f"the {which} day, UTC",
        )
    chosen = parser.parse_args(arguments)
    try:
        connection = Connection(Address.parse(chosen.url), _STATEMENT_SECONDS, {})
    except ValueError as error:
        parser.error(str(error))
    try:
        _run(connection, chosen)
    except (StoreUnavailable, TooMuch, exceptions.Error) as error:
        print(str(error).splitlines()[0], file=sys.stderr)
        return 1
    finally:
        connection.close()
    return 0


def _run(connection: Connection, chosen: argparse.Namespace) -> None:
    if chosen.command == "migrate":
        options = Options(**{each.name: getattr(chosen, each.name) for each in fields(Options)})
        print(f"{connection.address} is at version {migrate(connection, options)}")
    elif chosen.command == "show":
        for version, title, at in applied(connection):
            print(f"{version}  {at}  {title}")
        for view in views(connection):
            print("{view}: {status}, last complete {success}{exception}".format(**view))
    else:
        for day in rebuild(connection, chosen.first, chosen.last + DAY):
            print(f"{datetime.fromtimestamp(day, UTC):%Y-%m-%d} is rebuilt")


def _day(text: str) -> int:
    return int(datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).timestamp())


if __name__ == "__main__":
    sys.exit(main())
