"""The tables of history in BigQuery, their migrations, and the command that applies them.

python -m stores.bigquery_schema --dataset my-project.streamlens migrate

Everything is idempotent: a migration that has been applied may be applied again. Tables are only
ever appended to, by whoever writes and as often as it likes; what counts is picked on read: of
equal keys the row with the largest `version`, of equal registers the largest rank. `grouping` is a
bit mask over DIMENSIONS, and a dimension that is not of the grouping set is "".

`rollup_1h` and `rollup_1d` are views over the minutes, not tables kept by a scheduled MERGE: they
are exact at once, after any revision or backfill, and nothing has to run. The price is bytes: a
question reads about 110 bytes per series and minute (58 MB for a year of one series when clustering
finds just it, 29 GB when a partition of 500 series is one block). The store's limit on bytes billed
bounds it, and `stores.bigquery` reads the minutes by itself, for it does not depend on filters that
may not reach through a view. Sketches are another matter: an hour's sketch is appended once per
minute, so `compact` folds closed hours into one row each (at most 128 KB instead of sixty times
that). Schedule it once a day or run the command; answers are the same before and after.

Names that are words of GoogleSQL (`rows`, `grouping`, …) are quoted; so is every other one.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from stores.bigquery_tables import (
    KEY,
    TABLES,
    UNIQUES_1H,
    Table,
    bits,
    latest,
    names,
    quoted,
    union,
)
from stores.contract import StoreUnavailable, TooMuch
from stores.pane import MEASURES

Statements = list[str]

_SECONDS: Final = 900  # that one statement of the command may take


@dataclass(frozen=True)
class Options:
    """What an operator may choose: days after which partitions are dropped, 0 for never."""

    rollup_days: int = 730
    minute_unique_days: int = 90
    hour_unique_days: int = 730


def migrations(dataset: str) -> list[tuple[int, str, Statements]]:
    """Version, title and statements, in order. Only ever append to it."""
    return [
        (1, "minutes and unions of users", [_create(dataset, table) for table in TABLES]),
        (2, "latest minutes, hours and days", _views(dataset)),
    ]


def retention(dataset: str, options: Options) -> Statements:
    """Statements that set how long partitions are kept; run by each `migrate`."""
    days = zip(
        TABLES,
        (options.rollup_days, options.minute_unique_days, options.hour_unique_days),
        strict=True,
    )
    return [
        f"ALTER TABLE `{dataset}.{table.name}`"
        f" SET OPTIONS (partition_expiration_days = {keep or 'NULL'})"
        for table, keep in days
    ]


def compaction(dataset: str, start: str, end: str) -> str:
    """One MERGE that leaves one row per key in hours from `start` to `end` (SQL expressions).

    The range is replaced in one atomic step (BigQuery's idiom for that is a condition that is
    never true). Rows that arrive meanwhile are not in its snapshot, and stay.
    """
    hours = f"`{dataset}.{UNIQUES_1H.name}`"
    key = names(("project", "grouping", "value", "bucket"))
    unions = union(hours, key, f"`bucket` >= {start} AND `bucket` < {end}")
    columns = names([column.name for column in UNIQUES_1H.columns])
    return (
        f"MERGE {hours} AS held USING ({unions}) AS unions ON FALSE"
        f" WHEN NOT MATCHED BY TARGET THEN INSERT ({columns}) VALUES ({columns})"
        f" WHEN NOT MATCHED BY SOURCE AND held.`bucket` >= {start} AND held.`bucket` < {end}"
        " THEN DELETE"
    )


def _create(dataset: str, table: Table) -> str:
    columns = ", ".join(
        f"{quoted(column.name)} "
        + (f"ARRAY<{column.type}>" if column.repeated else f"{column.type} NOT NULL")
        for column in table.columns
    )
    prune = " OPTIONS (require_partition_filter = TRUE)" if table.must_prune else ""
    return (
        f"CREATE TABLE IF NOT EXISTS `{dataset}.{table.name}` ({columns})"
        f" PARTITION BY TIMESTAMP_TRUNC({quoted(table.time)}, DAY)"
        f" CLUSTER BY {names(table.clustered)}{prune}"
    )


def _views(dataset: str) -> Statements:
    chosen = latest(f"`{dataset}.rollup_1m`", "TRUE", (*KEY, "minute"))
    sums = ", ".join(f"SUM({quoted(m)}) AS {quoted(m)}" for m in (*MEASURES, "version"))
    views = [f"CREATE OR REPLACE VIEW `{dataset}.rollup_1m_latest` AS {chosen}"]
    for unit in ("hour", "day"):
        views.append(
            f"CREATE OR REPLACE VIEW `{dataset}.rollup_1{unit[0]}` AS SELECT {names(KEY)},"
            f" TIMESTAMP_TRUNC(`minute`, {unit.upper()}) AS {quoted(unit)}, {sums},"
            f" {bits()} AS `status` FROM `{dataset}.rollup_1m_latest`"
            f" GROUP BY {names(KEY)}, {quoted(unit)}"
        )
    return views


def migrate(store: Any, options: Options | None = None) -> int:
    """Bring the dataset of a `BigQueryStore` up to date; returns its version.

    Raises StoreUnavailable: the dataset has to be there, and the account may change it.
    """
    dataset = store.settings.dataset
    store.run(
        f"CREATE TABLE IF NOT EXISTS `{dataset}.schema_version`"
        " (`version` INT64 NOT NULL, `title` STRING NOT NULL, `applied_at` TIMESTAMP NOT NULL)"
    )
    done = {version for version, _, _ in applied(store)}
    known = migrations(dataset)
    for version, title, statements in known:
        if version in done:
            continue
        for statement in statements:
            store.run(statement)
        store.run(
            f"INSERT INTO `{dataset}.schema_version` (`version`, `title`, `applied_at`)"
            " VALUES (@version, @title, CURRENT_TIMESTAMP())",
            {"version": version, "title": title},
        )
    for statement in retention(dataset, options or Options()):
        store.run(statement)
    return known[-1][0]


def applied(store: Any) -> list[tuple[int, str, str]]:
    """Version, title and time of each applied migration."""
    rows = store.run(
        "SELECT `version`, ANY_VALUE(`title`) AS `title`, MIN(`applied_at`) AS `at`"
        f" FROM `{store.settings.dataset}.schema_version` GROUP BY `version` ORDER BY `version`"
    )
    return [(row["version"], row["title"], str(row["at"])) for row in rows]


def compact(store: Any, start: int, end: int) -> None:
    """`compaction` of hours from `start` to `end`, epoch seconds. Raises StoreUnavailable."""
    times = {name: datetime.fromtimestamp(at, UTC) for name, at in (("start", start), ("end", end))}
    store.run(compaction(store.settings.dataset, "@start", "@end"), times)


def scheduled(dataset: str) -> str:
    """What to schedule once a day: the day that ended a few hours ago, compacted."""
    end = "TIMESTAMP_TRUNC(TIMESTAMP_SUB(@run_time, INTERVAL 3 HOUR), DAY)"
    return compaction(dataset, f"TIMESTAMP_SUB({end}, INTERVAL 1 DAY)", end)


def script(dataset: str, options: Options) -> Iterator[str]:
    """Every statement, with comments between: what `migrate` runs, and what to schedule."""
    for version, title, statements in migrations(dataset):
        yield f"-- {version}: {title}"
        yield from (f"{statement};" for statement in statements)
    yield "-- how long it is kept"
    yield from (f"{statement};" for statement in retention(dataset, options))
    yield "-- to schedule once a day"
    yield f"{scheduled(dataset)};"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 1 and one line when BigQuery refuses or is not there."""
    parser = argparse.ArgumentParser(prog="python -m stores.bigquery_schema", description=__doc__)
    parser.add_argument("--dataset", required=True, help="project.dataset; has to exist")
    for name, days in vars(Options()).items():
        parser.add_argument(f"--{name}", type=int, default=days, help="0 keeps for ever")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("migrate", help="apply what is missing")
    commands.add_parser("show", help="what is applied")
    commands.add_parser("sql", help="print all statements; connects to nothing")
    folding = commands.add_parser("compact", help="one row per key in hours of uniques_1h")
    folding.add_argument("--start", type=_moment, required=True, help="ISO 8601, UTC if no zone")
    folding.add_argument("--end", type=_moment, required=True)
    chosen = parser.parse_args(arguments)
    options = Options(**{name: getattr(chosen, name) for name in vars(Options())})

    from stores.bigquery import BigQuerySettings, BigQueryStore

    try:
        store = BigQueryStore(BigQuerySettings(chosen.dataset, seconds=_SECONDS))
    except ValueError as error:
        parser.error(str(error))
    try:
        if chosen.command == "sql":
            print("\n".join(script(chosen.dataset, options)))
        elif chosen.command == "migrate":
            print(f"version {migrate(store, options)}")
        elif chosen.command == "show":
            for version, title, at in applied(store):
                print(f"{version}  {at}  {title}")
        else:
            compact(store, chosen.start, chosen.end)
    except (StoreUnavailable, TooMuch) as error:
        print(error.args[0], file=sys.stderr)
        return 1
    finally:
        store.close()
    return 0


def _moment(text: str) -> int:
    at = datetime.fromisoformat(text)
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp())


if __name__ == "__main__":
    sys.exit(main())
