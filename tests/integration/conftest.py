"""Real services for tests, one of each per session, on free ports of 127.0.0.1."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from deploy.clickhouse import ClickHouseServer
from deploy.ports import free_port
from deploy.services import KafkaServer, ValkeyServer
from stores.clickhouse import ClickHouseStore
from stores.clickhouse_client import Address, Connection
from stores.clickhouse_schema import migrate, refresh
from stores.clickhouse_tables import Options


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    with ValkeyServer(free_port(), tmp_path_factory.mktemp("valkey"), persistence=False) as server:
        yield server


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    folder: Path = tmp_path_factory.mktemp("kafka")
    with KafkaServer(folder, free_port()) as server:
        yield server


@pytest.fixture
def client(valkey: ValkeyServer) -> Iterator[redis.Redis]:
    """An empty store."""
    with redis.Redis.from_url(valkey.address) as connection:
        connection.flushall()
        yield connection


@pytest.fixture(scope="session")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseServer]:
    """A server with the schema in its database; its views are refreshed by tests, not by time."""
    folder = tmp_path_factory.mktemp("clickhouse")
    with ClickHouseServer(folder, free_port(), free_port()) as server:
        connection = Connection(Address.parse(server.address), 60, {})
        migrate(connection, Options(refresh_seconds=86_400))
        connection.close()
        yield server


@pytest.fixture(scope="session")
def clickhouse_admin(clickhouse: ClickHouseServer) -> Iterator[Connection]:
    """The writing user, for statements of all kinds."""
    connection = Connection(Address.parse(clickhouse.address), 60, {})
    yield connection
    connection.close()


@pytest.fixture(scope="session")
def clickhouse_store(
    clickhouse: ClickHouseServer, clickhouse_admin: Connection
) -> Iterator[ClickHouseStore]:
    refresh(clickhouse_admin)  # else it would read minutes only, until it looks again
    opened = ClickHouseStore(clickhouse.address, clickhouse.reader_address)
    yield opened
    opened.close()
