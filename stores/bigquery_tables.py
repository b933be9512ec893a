"""BigQuery's tables, declared once: DDL, rows, protobuf and the Beam schema come from here."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from stores.pane import DIMENSIONS, MEASURES


class Column(NamedTuple):
    """One column; none is ever NULL."""

    name: str
    type: str  # STRING, INT64 or TIMESTAMP
    repeated: bool = False


class Table(NamedTuple):
    """One table: partitioned by day of `time`, clustered in this order."""

    name: str
    time: str
    columns: tuple[Column, ...]
    clustered: tuple[str, ...]
    # Whether a query must say which days. Not for rollups: a filter on `hour` of a view need not
    # become one on `minute`, and then the view could not be queried at all.
    must_prune: bool


KEY: Final = ("project", "grouping", *DIMENSIONS)
_UNIQUES: Final = (
    Column("project", "STRING"),
    Column("grouping", "INT64"),
    Column("value", "STRING"),  # of the grouping set's one dimension, "" for the total
    Column("bucket", "TIMESTAMP"),  # start of the minute or hour
    Column("entries", "INT64", repeated=True),  # events.sketch, series bits zero
)
ROLLUP: Final = Table(
    "rollup_1m",
    "minute",
    (
        Column("project", "STRING"),
        Column("grouping", "INT64"),
        Column("minute", "TIMESTAMP"),
        *(Column(name, "STRING") for name in DIMENSIONS),
        *(Column(name, "INT64") for name in MEASURES),
        Column("status", "INT64"),  # PARTIAL, FINAL or REVISED
        Column("version", "INT64"),
        Column("written_at", "TIMESTAMP"),
    ),
    ("project", "grouping", "country", "device"),
    must_prune=False,
)
UNIQUES_1M: Final = Table(
    "uniques_1m", "bucket", _UNIQUES, ("project", "bucket"), must_prune=True
)  # the total only
UNIQUES_1H: Final = Table(
    "uniques_1h", "bucket", _UNIQUES, ("project", "grouping", "value", "bucket"), must_prune=True
)
TABLES: Final = (ROLLUP, UNIQUES_1M, UNIQUES_1H)


def quoted(name: str) -> str:
    """A name as GoogleSQL takes it, whatever word it is."""
    return f"`{name}`"


def names(columns: Sequence[str]) -> str:
    """Quoted and joined."""
    return ", ".join(quoted(name) for name in columns)


def latest(source: str, condition: str, key: Sequence[str]) -> str:
    """SELECT of the rows of minutes that count: the largest version of each key."""
    return (
        f"SELECT * FROM {source} WHERE {condition}"
        f" QUALIFY ROW_NUMBER() OVER (PARTITION BY {names(key)} ORDER BY `version` DESC) = 1"
    )


def bits(status: str = "`status`") -> str:
    """Completeness bits of `stores.contract` of many minutes."""
    return f"BIT_OR(1 << ({status} - 1))"


def union(source: str, key: str, condition: str) -> str:
    """SELECT of one row per `key`: the largest entry of each register, in order of registers.

    An entry is register << 6 | rank, so the largest entry of a register is its largest rank.
    """
    return (
        f"SELECT {key}, ARRAY_AGG(`entry` ORDER BY `entry`) AS `entries` FROM ("
        f"SELECT {key}, MAX(`entry`) AS `entry` FROM {source}, UNNEST(`entries`) AS `entry`"
        f" WHERE {condition} GROUP BY {key}, DIV(`entry`, 64)) GROUP BY {key}"
    )
