"""The bounded source: a day rebuilt from archived NDJSON, over live data or without."""

import gzip
import json
import time
from contextlib import closing
from pathlib import Path

import pytest
import redis

from deploy.clickhouse import ClickHouseServer
from deploy.services import ValkeyServer
from pipelines import main
from stores.clickhouse import ClickHouseStore
from stores.clickhouse_client import Address, Connection
from stores.clickhouse_schema import refresh
from stores.contract import DAY, HOUR, Slice, edges
from stores.hot import HotStore
from stores.hot_reads import HotReader
from stores.pane import FINAL, MINUTE
from tests.integration.users import unique_users

pytestmark = pytest.mark.integration

START = int(time.time()) // 3600 * 3600 - 3600


def _archive(folder: Path, events: int, start: int = START) -> None:
    lines = [
        json.dumps(
            {
                "type": "purchase" if i % 10 == 0 else "page_view",
                "user_id": f"u{i % 40}",
                "ts": (start + i % 300) * 1000,
                "country": "DE" if i % 3 else "US",
                **({"amount": "0.10", "currency": "USD"} if i % 10 == 0 else {}),
            }
        )
        for i in range(events)
    ]
    half = len(lines) // 2
    (folder / "a.ndjson").write_text("\n".join([*lines[:half], '{"type": "broken"}']))
    with gzip.open(folder / "b.ndjson.gz", "wt") as packed:
        packed.write("\n".join(lines[half:]))


def _run(folder: Path, valkey: ValkeyServer, *options: str) -> None:
    assert (
        main.main(
            [
                "--runner=FnApiRunner",
                f"--input={folder}/*.ndjson*",
                "--json_project=shop",
                f"--redis_url={valkey.address}",
                *options,
            ]
        )
        == 0
    )


def test_files_are_counted_once_however_often_they_are_read(
    client: redis.Redis, valkey: ValkeyServer, tmp_path: Path
) -> None:
    store = HotStore(client)
    _archive(tmp_path, 1_000)
    for _ in range(2):
        _run(tmp_path, valkey)
        rows = store.series("shop", (), (), START, START + 300)
        assert int(rows[:, 0].sum()) == 1_000
        assert int(rows[:, 3].sum()) == 100
        assert int(rows[:, 6].sum()) == 100 * 100_000
        assert store.status("shop", START, START + 300).tolist() == [FINAL] * 5
    assert unique_users(HotReader(store), "shop", START, START + 300) == 40
    german = store.series("shop", ("country",), ("DE",), START, START + 300)
    assert int(german[:, 0].sum()) == sum(1 for i in range(1_000) if i % 3)


def test_a_smaller_archive_never_overwrites_what_was_counted(
    client: redis.Redis, valkey: ValkeyServer, tmp_path: Path
) -> None:
    store = HotStore(client)
    _archive(tmp_path, 1_000)
    _run(tmp_path, valkey)
    _archive(tmp_path, 500)
    _run(tmp_path, valkey)
    assert int(store.series("shop", (), (), START, START + 300)[:, 0].sum()) == 1_000


def test_any_day_is_rebuilt_into_history(
    client: redis.Redis, valkey: ValkeyServer, clickhouse: ClickHouseServer, tmp_path: Path
) -> None:
    """A day of three weeks ago, twice: minutes, hours, days and users."""
    day = START // DAY * DAY - 21 * DAY
    _archive(tmp_path, 1_000, day + 10 * HOUR)
    for _ in range(2):
        _run(tmp_path, valkey, f"--history_url={clickhouse.address}")
    with (
        closing(ClickHouseStore.from_url(clickhouse.reader_address)) as store,
        closing(Connection(Address.parse(clickhouse.address), 60, {})) as admin,
    ):
        refresh(admin)
        for step in (MINUTE, HOUR, DAY):
            cuts = edges(day, day + DAY, step)
            [rows] = store.counts(Slice("shop", (), cuts)).measures
            assert int(rows[:, 0].sum()) == 1_000
            assert int(rows[:, 6].sum()) == 100 * 100_000
            assert int((rows[:, 0] > 0).sum()) == (5 if step == MINUTE else 1)
            german = Slice("shop", ("country",), cuts, (("country", ("DE",)),))
            assert int(store.counts(german).measures[..., 0].sum()) == sum(
                1 for i in range(1_000) if i % 3
            )
        assert unique_users(store, "shop", day, day + DAY) == 40
