"""Real services for tests, one of each per session, on free ports of 127.0.0.1."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from deploy.ports import free_port
from deploy.services import KafkaServer, ValkeyServer


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
