"""The tables and views of history in ClickHouse, as text.

Keys are values of dimensions ("" for a dimension that is not of the grouping set) and `grouping`, a
bit mask over DIMENSIONS. All eight grouping sets are stored, since series are capped per set and a
marginal is more than the sum of its stored children.
"""

from dataclasses import dataclass
from typing import Final

from stores.pane import DIMENSIONS, MEASURES

STATE: Final = "AggregateFunction(uniqCombined64(14), UInt64)"
IDLE: Final = 3_600  # seconds without an insert after which a partition is merged whole
MARGIN: Final = 120  # seconds; an insert is visible this soon after its written_at was taken
ROLLUP_VIEWS: Final = ("rollup_1h_view", "rollup_1d_view")
MARKS_VIEW: Final = "refresh_marks_view"
WRITTEN: Final = ("rollup_1m", "uniques_1m", "uniques_1h", "uniques_1d", "events")  # by inserts
_KEY: Final = f"project, grouping, {', '.join(DIMENSIONS)}"
# A row is in one partition only (the time is in the key), so FINAL need not look across them.
_FINAL: Final = "do_not_merge_across_partitions_select_final = 1"
# What is over goes a partition at a time, without being rewritten.
_DROP_PARTS: Final = "ttl_only_drop_parts = 1"


@dataclass(frozen=True)
class Options:
    """What an operator may choose; days after which rows are dropped, 0 for never."""

    minute_days: int = 90
    hour_days: int = 730
    day_days: int = 0
    event_days: int = 30
    refresh_seconds: int = 15  # how often hours and days are recomputed


def migrations(database: str, options: Options) -> list[tuple[int, str, list[str]]]:
    """Version, title and statements, in order. Only ever append to it."""
    return [
        (1, "rollups", _rollups(database)),
        (2, "unions of users", _uniques(database)),
        (3, "hours and days from minutes", _views(database, options.refresh_seconds)),
        (4, "raw events", [_events(database)]),
    ]


def _rollups(database: str) -> list[str]:
    measures = ", ".join(f"{name} Int64" for name in MEASURES)
    dimensions = ", ".join(f"{name} LowCardinality(String)" for name in DIMENSIONS)

    def table(unit: str, partition: str, rest: str, index: str = "") -> str:
        return (
            f"CREATE TABLE IF NOT EXISTS {database}.rollup_1{unit[0]} ("
            f"project LowCardinality(String), grouping UInt8, {dimensions},"
            f" {unit} DateTime('UTC') CODEC(Delta, LZ4), {measures},"
            f" status UInt8, version UInt64, {rest}{index})"
            f" ENGINE = ReplacingMergeTree(version) PARTITION BY {partition}"
            f" ORDER BY ({_KEY}, {unit}) SETTINGS index_granularity = 2048, {_DROP_PARTS}"
        )

    return [
        table(
            "minute",
            "toDate(minute)",
            "written_at DateTime('UTC') DEFAULT now()",
            ", INDEX written written_at TYPE minmax GRANULARITY 16",
        ),
        table(
            "hour",
            "toYYYYMM(hour)",
            "refreshed_at DateTime('UTC') DEFAULT now()",
            ", INDEX refreshed refreshed_at TYPE minmax GRANULARITY 16",
        ),
        table("day", "toYear(day)", "refreshed_at DateTime('UTC') DEFAULT now()"),
    ]


def _uniques(database: str) -> list[str]:
    def table(unit: str, partition: str) -> str:
        return (
            f"CREATE TABLE IF NOT EXISTS {database}.uniques_1{unit[0]} ("
            "project LowCardinality(String), grouping UInt8, value LowCardinality(String),"
            f" bucket DateTime('UTC'), state {STATE})"
            f" ENGINE = AggregatingMergeTree PARTITION BY {partition}"
            " ORDER BY (project, grouping, value, bucket)"
            f" SETTINGS index_granularity = 256, {_DROP_PARTS}"
        )

    # A union is idempotent, so days follow each insert; no refresh is needed.
    days = (
        f"CREATE MATERIALIZED VIEW IF NOT EXISTS {database}.uniques_1d_view"
        f" TO {database}.uniques_1d AS"
        " SELECT project, grouping, value, toStartOfDay(hours.bucket) AS bucket,"
        " uniqCombined64MergeState(14)(state) AS state"
        f" FROM {database}.uniques_1h AS hours GROUP BY project, grouping, value, bucket"
    )
    return [
        table("minute", "toDate(bucket)"),
        table("hour", "toYYYYMM(bucket)"),
        table("day", "toYear(bucket)"),
        days,
    ]


def _views(database: str, every: int) -> list[str]:
    """Hours from minutes and days from hours, recomputed where something was written.

    Where to look: what was written since the last COMPLETE refresh began, whatever its time. The
    server knows when that was (`system.view_refreshes`), but only in memory; `refresh_marks` keeps
    it. The largest `refreshed_at` of the target would not do: a refresh that is killed between two
    blocks has moved it without having done all its hours.

    `written_at` is taken when an insert begins, so MARGIN must outlast one (WRITE_SECONDS bounds
    ours) and a step of the server's clock. A refresh of hours may last longer than that, so days
    look back further: hours that days have not seen come from refreshes that ended after the last
    refresh of days began; refreshes of hours follow one another, so these began after the one
    before the last that began before.
    """
    marks = f"{database}.refresh_marks"
    hours, days = (f"SELECT at FROM {marks} WHERE view = 'rollup_1{u}_view'" for u in "hd")
    since_hours = f"({hours} ORDER BY at DESC LIMIT 1)"
    since_days = f"({hours} AND at < ({days} ORDER BY at DESC LIMIT 1) ORDER BY at DESC LIMIT 1, 1)"

    def view(unit: str, source: str, column: str, stamp: str, since: str) -> str:
        bucket = f"toStartOf{unit.capitalize()}({column})"
        # Nothing yet: the epoch, without going below it.
        after = f"toDateTime(greatest(ifNull(toUnixTimestamp({since}), 0), {MARGIN}) - {MARGIN})"
        touched = (
            f"SELECT DISTINCT project, {bucket} FROM {database}.rollup_{source}"
            f" WHERE {stamp} >= {after}"
        )
        select = recompute(database, unit, source, column, f"(project, {bucket}) IN ({touched})")
        name = f"{database}.rollup_1{unit[0]}"
        return (
            f"CREATE MATERIALIZED VIEW IF NOT EXISTS {name}_view REFRESH EVERY {every} SECOND"
            f" APPEND TO {name} AS {select}"
        )

    table = (
        f"CREATE TABLE IF NOT EXISTS {marks} (view String, at DateTime('UTC'))"
        " ENGINE = ReplacingMergeTree ORDER BY (view, at) TTL at + INTERVAL 30 DAY"
    )
    keep = (
        f"CREATE MATERIALIZED VIEW IF NOT EXISTS {database}.{MARKS_VIEW}"
        f" REFRESH EVERY {every} SECOND APPEND TO {marks} AS"
        " SELECT view, assumeNotNull(last_success_time) AS at FROM system.view_refreshes"
        f" WHERE database = '{database}' AND view IN {ROLLUP_VIEWS}"
        " AND last_success_time IS NOT NULL"
    )
    return [
        table,
        view("hour", "1m", "minute", "written_at", since_hours),
        view("day", "1h", "hour", "refreshed_at", since_days),
        keep,
    ]


def recompute(database: str, unit: str, source: str, column: str, where: str) -> str:
    """SELECT of the target's columns (`target_columns`): every bucket of `where`, anew.

    `where` is on columns of the sorting key only. Aggregating in their order and in small blocks
    keeps the memory of a whole backlog (30 days, 128 million rows) at a third of a gigabyte.
    """
    bits = "bitShiftLeft(1, source.status - 1)" if source == "1m" else "source.status"
    sums = ", ".join(f"sum(source.{name}) AS {name}" for name in (*MEASURES, "version"))
    return (
        f"SELECT {_KEY}, toStartOf{unit.capitalize()}({column}) AS {unit}, {sums},"
        f" toUInt8(groupBitOr({bits})) AS status, now() AS refreshed_at"
        f" FROM {database}.rollup_{source} AS source FINAL PREWHERE {where} GROUP BY {_KEY}, {unit}"
        f" SETTINGS {_FINAL}, optimize_aggregation_in_order = 1, max_threads = 1,"
        " max_block_size = 8192"
    )


def target_columns(unit: str) -> str:
    """The columns of rollup_1h ("hour") or rollup_1d ("day") in the order of `recompute`."""
    return f"{_KEY}, {unit}, {', '.join(MEASURES)}, version, status, refreshed_at"


def _events(database: str) -> str:
    """Raw events. A row is named by its place in the log, so that a replay collapses into it.

    Not by a token per insert: the pipeline inserts several messages at once, and groups them
    otherwise after a restart.
    """
    return (
        f"CREATE TABLE IF NOT EXISTS {database}.events ("
        "project LowCardinality(String), partition UInt16,"
        " offset UInt64 CODEC(Delta, LZ4), row UInt32 CODEC(Delta, LZ4),"
        " event_time DateTime64(3, 'UTC') CODEC(Delta, LZ4),"
        " client_time DateTime64(3, 'UTC') CODEC(Delta, LZ4),"
        " received_at DateTime64(3, 'UTC') CODEC(Delta, LZ4),"
        " event_id FixedString(16), event_uuid String ALIAS UUIDNumToString(event_id),"
        " dedup_key UInt64, type LowCardinality(String), user_id String,"
        " user_hash UInt64, session_id String, url String, category LowCardinality(String),"
        " country LowCardinality(String), device LowCardinality(String), bot Bool,"
        " revenue_micros Int64, amount_micros Int64, currency LowCardinality(String), props String)"
        " ENGINE = ReplacingMergeTree PARTITION BY toDate(event_time)"
        " ORDER BY (project, toStartOfMinute(event_time), partition, offset, row)"
        f" SETTINGS {_DROP_PARTS}"
    )


def settings(database: str, options: Options) -> list[str]:
    """What follows the options whenever the schema is migrated: how often, and for how long."""
    views = (*ROLLUP_VIEWS, MARKS_VIEW)
    refresh = f"MODIFY REFRESH EVERY {options.refresh_seconds} SECOND APPEND"
    tables = [
        ("rollup_1m", "minute", options.minute_days),
        ("rollup_1h", "hour", options.hour_days),
        ("rollup_1d", "day", options.day_days),
        ("uniques_1m", "bucket", options.minute_days),
        ("uniques_1h", "bucket", options.hour_days),
        ("uniques_1d", "bucket", options.day_days),
        ("events", "toDateTime(event_time)", options.event_days),
    ]
    # A day that gets no more rows becomes one part: then FINAL has nothing to do for it.
    merge = (
        f"MODIFY SETTING min_age_to_force_merge_seconds = {IDLE},"
        " min_age_to_force_merge_on_partition_only = 1"
    )
    # The pipeline forgets what was acknowledged, so it must outlive a power cut. Not for hours and
    # days, which are computed again; nor after merges, whose sources stay for eight minutes.
    sync = "MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1"
    return [
        *(f"ALTER TABLE {database}.{view} {refresh}" for view in views),
        *(f"ALTER TABLE {database}.{table} {sync}" for table in WRITTEN),
        *(f"ALTER TABLE {database}.rollup_{unit} {merge}" for unit in ("1m", "1h", "1d")),
        *(
            f"ALTER TABLE {database}.{table} MODIFY TTL {column} + INTERVAL {days} DAY"
            " SETTINGS materialize_ttl_after_modify = 0"
            for table, column, days in tables
            if days
        ),
    ]
