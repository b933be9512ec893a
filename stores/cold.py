"""The cold store that a URL names."""

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from stores.contract import ColdStore

if TYPE_CHECKING:
    from stores.clickhouse_events import ClickHouseEvents

_CLICKHOUSE: Final = ("clickhouse", "clickhouses")
SCHEMES: Final = (*_CLICKHOUSE, "bigquery")


def open_cold(url: str) -> ColdStore | None:
    """`clickhouse://user:password@host:8123/database`, `bigquery://project/dataset`, or none.

    Raises ValueError for any other URL. Drivers are imported only when they are asked for; nothing
    is connected yet.
    """
    if not url:
        return None
    scheme = urlsplit(url).scheme
    if keeps_events(url):
        from stores.clickhouse import ClickHouseStore

        return ClickHouseStore.from_url(url)
    if scheme == "bigquery":
        from stores.bigquery import BigQueryStore

        return BigQueryStore.from_url(url)
    raise ValueError(f"{scheme or url!r} is no history store: clickhouse:// or bigquery://")


def keeps_events(url: str) -> bool:
    """Whether the store at a URL can hold raw events."""
    return urlsplit(url).scheme in _CLICKHOUSE


def open_events(url: str) -> "ClickHouseEvents":
    """The store of raw events at a URL: ClickHouse only. Raises ValueError for another."""
    if not keeps_events(url):
        raise ValueError("raw events are kept in ClickHouse only")
    from stores.clickhouse_events import ClickHouseEvents

    return ClickHouseEvents.from_url(url)
