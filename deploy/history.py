"""The tables of history, made or changed when the local stack's ClickHouse is up."""

from contextlib import closing

from stores.clickhouse_client import Address, Connection
from stores.clickhouse_schema import migrate
from stores.clickhouse_tables import Options


def ensure_schema(url: str, options: Options | None = None) -> None:
    """Bring the database at a URL up to date. Raises StoreUnavailable or ValueError."""
    with closing(Connection(Address.parse(url), 60, {})) as connection:
        migrate(connection, options)
