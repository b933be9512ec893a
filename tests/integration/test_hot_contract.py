"""The hot store answers as every store must: the shared suite, on a real Valkey."""

import time
from collections.abc import Sequence

import pytest
import redis

from stores.contract import HOUR
from stores.hot import HotStore
from stores.hot_reads import HotReader
from stores.pane import Pane
from tests.integration.store_contract import StoreContract, Subject

pytestmark = pytest.mark.integration

HOURS = 20


class _Hot(HotReader):
    """The reader with the writer that it reads from."""

    def __init__(self, store: HotStore) -> None:
        super().__init__(store)
        self._writer = store

    def write(self, panes: Sequence[Pane]) -> int:
        return self._writer.write(panes)


class TestHot(StoreContract):
    @pytest.fixture
    def subject(self, client: redis.Redis) -> Subject:
        end = int(time.time()) // HOUR * HOUR
        return Subject(_Hot(HotStore(client)), end - HOURS * HOUR, HOURS)
