"""The cold store that a URL names."""

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from stores.contract import ColdStore

if TYPE_CHECKING:
    from stores.clickhouse_events import ClickHouseEvents

SCHEMES: Final = ("clickhouse", "clickhouses", "bigquery")


def open_cold(url: str) -> ColdStore | None:
    """`clickhouse://user:password@host:8123/database`, `bigquery://project/dataset`, or none.

    Raises ValueError for any other URL. Drivers are imported only when they are asked for; nothing
    is connected yet.
    """
    if not url:
        return None
    scheme = urlsplit(url).scheme
    if scheme in ("clickhouse", "clickhouses"):
        from stores.clickhouse import ClickHouseStore

        return ClickHouseStore.from_url(url)
    if scheme == "bigquery":
        from stores.bigquery import BigQueryStore

        return BigQueryStore.from_url(url)
    raise ValueError(f"{scheme or url!r} is no history store: clickhouse:// or bigquery://")


def open_events(url: str) -> "ClickHouseEvents":
    """The store of raw events at a URL: ClickHouse only. Raises ValueError for another."""
    if urlsplit(url).scheme not in ("clickhouse", "clickhouses"):
        raise ValueError("raw events are kept in ClickHouse only")
    from stores.clickhouse_events import ClickHouseEvents

    return ClickHouseEvents.from_url(url)
