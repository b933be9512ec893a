"""History on a real ClickHouse server."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.clickhouse import ClickHouseServer
from deploy.ports import free_port
from events import sketch
from stores.clickhouse import ClickHouseStore
from stores.clickhouse_client import Address, Connection
from stores.clickhouse_schema import applied, migrate, refresh
from stores.clickhouse_state import from_state, to_state
from stores.clickhouse_tables import STATE, Options
from stores.contract import (
    DAY,
    HOUR,
    Slice,
    StoreUnavailable,
    TooMuch,
    edges,
)
from stores.pane import MINUTE
from tests.integration.clickhouse_tools import units
from tests.integration.store_contract import StoreContract, Subject, pane
from tests.integration.waiting import wait_for

pytestmark = pytest.mark.integration


class TestContract(StoreContract):
    @pytest.fixture
    def subject(self, clickhouse_store: ClickHouseStore, clickhouse_admin: Connection) -> Subject:
        start = int(time.time()) // DAY * DAY - 5 * DAY + 20 * HOUR
        return Subject(clickhouse_store, start, 60, lambda: refresh(clickhouse_admin))


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 1_500), min_size=1, max_size=5), st.integers(0, 2**32 - 1))
def test_the_server_unites_all_forms_register_by_register(
    clickhouse: ClickHouseServer, sizes: list[int], seed: int
) -> None:
    """Small, medium and large ones, and both the largest and the least likely ranks."""
    rng = np.random.default_rng(seed)
    parts = [
        sketch.from_hashes(rng.integers(0, 1 << 63, size, np.uint64) << np.uint64(size % 60))
        for size in sizes
    ]
    parts.append(np.array([rng.integers(1 << 14) << 6 | 51, 1 << 20], np.uint32)[: seed % 2])
    connection = Connection(Address.parse(clickhouse.address), 10, {})
    states = [to_state(part) for part in parts]
    found = connection.table(
        f"SELECT CAST(uniqCombined64MergeState(14)(s) AS String) AS state FROM (SELECT"
        f" CAST(unhex(arrayJoin({{h:Array(String)}})) AS {STATE}) AS s)",
        {"h": [state.hex() for state in states]},
        text=False,
    )
    connection.close()
    (state,) = found.column("state").to_pylist()
    expected = sketch.merge(parts)
    assert from_state(state).tolist() == expected.tolist()
    if state[0] == 3:
        assert to_state(expected) == state


def test_a_killed_server_comes_back_with_everything(tmp_path: Path) -> None:
    server = ClickHouseServer(tmp_path, free_port(), free_port())
    store = ClickHouseStore(server.address, server.reader_address)
    connection = Connection(Address.parse(server.address), 60, {})
    minute = int(time.time()) // DAY * DAY - DAY
    ask = Slice("p", (), (minute, minute + DAY))
    with server:
        every_second = Options(refresh_seconds=1)
        assert migrate(connection, every_second) == migrate(connection, every_second)
        store.write([pane(minute, 3, project="p", users=["ann"])])
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        wait_for("end", lambda: server.poll() is not None, 10)
        with pytest.raises(StoreUnavailable):
            store.counts(ask)
        server.start()
        store.write([pane(minute + MINUTE, 4, project="p", users=["bob"])])
        total = {"1m": 7, "1h": 7, "1d": 7}
        wait_for("hours and days", lambda: units(connection, "p") == total, 20)
        assert int(store.counts(ask).measures[0, 0, 0]) == 7
        assert [sketch.estimate(users) for users in store.users(ask).values()] == [2]
        assert migrate(connection) == len(applied(connection))
    store.close()
    connection.close()


def test_what_is_acknowledged_is_on_the_disk(
    clickhouse: ClickHouseServer, clickhouse_store: ClickHouseStore
) -> None:
    connection = Connection(Address.parse(clickhouse.address), 60, {})
    question = "SELECT sum(value) AS files FROM system.events WHERE event = 'FileSync'"

    def synced() -> int:
        return int(connection.table(question)["files"][0].as_py())

    before = synced()
    clickhouse_store.write([pane(int(time.time()) // DAY * DAY, 1, project="synced")])
    assert synced() > before
    connection.close()


def test_the_reader_can_only_read(clickhouse: ClickHouseServer) -> None:
    store = ClickHouseStore(clickhouse.reader_address)
    with pytest.raises(DatabaseError):
        store.write([pane(0, 1, project="p")])
    store.close()
    reader = Connection(Address.parse(clickhouse.reader_address), 10, {})
    for statement in (
        "INSERT INTO streamlens.rollup_1m (project) VALUES ('p')",
        "DROP TABLE streamlens.rollup_1m",
        "SELECT * FROM url('http://127.0.0.1:1/', 'CSV', 'a Int8')",
        "SELECT 1 SETTINGS max_execution_time = 0",
        "SELECT 1 SETTINGS max_rows_to_read = 0",
        "SELECT 1 SETTINGS readonly = 0",
    ):
        with pytest.raises(DatabaseError):
            reader.command(statement)
    reader.close()


def test_what_is_too_much(clickhouse: ClickHouseServer) -> None:
    day = int(time.time()) // DAY * DAY
    slow = Connection(Address.parse(clickhouse.reader_address), 1, {})
    with pytest.raises(TooMuch, match="time"):
        slow.table("SELECT count() FROM numbers(100000000) WHERE NOT ignore(sleepEachRow(0.001))")
    few = Connection(
        Address.parse(clickhouse.reader_address), 9, {"max_rows_to_read": 10, "max_threads": 1}
    )
    with pytest.raises(TooMuch, match="rows to read"):
        few.table("SELECT sum(number) AS n FROM numbers(1000)")
    slow.close()
    few.close()
    store = ClickHouseStore(clickhouse.address, clickhouse.reader_address, max_cells=3)
    for value in ("a", "b", "c", "d"):
        one = pane(day, 1, project="much", grouping=("device",), values=(value,))
        store.write([one, pane(day, 1, project="much")])
    with pytest.raises(TooMuch, match="result"):
        store.counts(Slice("much", ("device",), (day, day + MINUTE), by=("device",)))
    with pytest.raises(TooMuch, match="numbers"):
        store.counts(Slice("much", (), edges(day, day + HOUR, 600)))
    store.close()


def test_threads_share_a_store(clickhouse_store: ClickHouseStore) -> None:
    day = int(time.time()) // DAY * DAY
    clickhouse_store.write([pane(day + at * MINUTE, at + 1, project="threads") for at in range(60)])

    def read(at: int) -> int:
        ask = Slice("threads", (), (day + at * MINUTE, day + (at + 1) * MINUTE))
        return int(clickhouse_store.counts(ask).measures[0, 0, 0])

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(read, range(60))) == list(range(1, 61))
