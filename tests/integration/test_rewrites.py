"""A Valkey that loses its last second, as `appendfsync everysec` may: the numbers come back."""

import os
import time
from pathlib import Path

import numpy as np
import pytest
import redis

from deploy.ports import free_port
from deploy.services import ValkeyServer
from pipelines.sinks import Heartbeat, WriteHot
from pipelines.sources import Progress
from stores.hot import HotStore
from stores.pane import FINAL, MINUTE, PARTIAL, Pane
from tests.integration.jobs import kill_hard

pytestmark = pytest.mark.integration

START = int(time.time()) // MINUTE * MINUTE - 2 * MINUTE


def _pane(rows: int, status: int) -> Pane:
    measures = np.full((1, 7), rows, np.int64)
    return Pane("demo", (), START, MINUTE, status, [()], measures)


def test_the_last_word_on_a_minute_survives_a_power_cut(tmp_path: Path) -> None:
    with (
        ValkeyServer(free_port(), tmp_path, persistence=True) as valkey,
        redis.Redis.from_url(valkey.address) as client,
    ):
        store, sink, heart = HotStore(client), WriteHot(valkey.address), Heartbeat(valkey.address)
        sink.setup()
        heart.setup()
        log = next((tmp_path / "appendonlydir").glob("*.incr.aof"))
        # Keys and counts are in before, so that what is lost is nothing but the last word.
        for pane in (_pane(5, PARTIAL), _pane(9, FINAL)):
            size = log.stat().st_size
            sink.start_bundle()
            sink.process(pane)
            sink.finish_bundle()
        kill_hard(valkey)
        os.truncate(log, size)
        valkey.start()
        assert store.series("demo", (), (), START, START + MINUTE)[0, 0] == 5

        heart.process(Progress((0,), None, 0))  # no traffic: nothing else would be written
        assert store.series("demo", (), (), START, START + MINUTE)[0, 0] == 9
        assert store.status("demo", START, START + MINUTE)[0] == FINAL
