"""The judge of the kill tests finds what is wrong: a judge who never objects proves nothing."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pytest
import redis

from deploy.clickhouse import ClickHouseServer
from deploy.services import ValkeyServer
from events import batch as codec
from events import sketch
from events.agent import classify
from serving.ingest.message import columns_of
from serving.ingest.reader import Reader
from serving.ingest.rows import Sender, make_parts
from serving.projects import DEMO
from stores.clickhouse_client import Connection
from stores.contract import RawBatch
from stores.pane import FINAL, MINUTE, PARTIAL, Pane
from tests.chaos import judge
from tests.chaos.batches import Batch, Countries, make
from tests.chaos.record import Record
from tests.chaos.stores import Stores
from transforms.aggregate import Cells
from transforms.cube import UNIT

pytestmark = pytest.mark.integration

_ONE = np.array([1, 0, 0, 0, 0, 0, 0], np.int64)


@dataclass
class World:
    """What was sent, and what is written to the three stores."""

    record: Record
    raw: list[RawBatch]
    hot: list[Pane]
    cold: list[Pane]


def _raw(batch: Batch, offset: int, now_ms: int) -> RawBatch:
    sender = Sender(now_ms, "ZZ", classify(batch.headers["User-Agent"]))
    parts = make_parts(Reader(DEMO).read(batch.body), DEMO, sender, 1)
    made = pa.RecordBatch.from_arrays(columns_of([parts[0]]), schema=codec.SCHEMA)
    return RawBatch("demo", 0, offset, np.arange(made.num_rows), made)


def _panes(raw: list[RawBatch]) -> list[Pane]:
    table = pa.Table.from_batches([one.rows for one in raw]).unify_dictionaries()
    return [
        Pane(
            "demo",
            part.grouping,
            part.start,
            MINUTE,
            FINAL,
            [tuple(name.split(UNIT)) if part.grouping else () for name in part.cube.names],
            part.cube.measures,
            part.cube.users.entries,
        )
        for part in Cells(table).minutes()
    ]


def _world() -> World:
    rng, now_ms = random.Random(3), time.time_ns() // 1_000_000 - 240_000
    record, raw = Record(), []
    for offset in range(60):
        batch = make(rng, now_ms, Countries(None))
        if batch.events:
            record.begins(batch)
            record.acknowledge(batch)
            raw.append(_raw(batch, offset, now_ms))
    panes = _panes(raw)
    return World(record, raw, panes, list(panes))


def _total(panes: list[Pane]) -> int:
    return next(i for i, pane in enumerate(panes) if not pane.grouping and len(pane.sketch))


def _lost(world: World) -> None:
    world.raw.pop()


def _doubled(world: World) -> None:
    first = world.raw[0]
    world.raw.append(first._replace(offset=1_000))
    world.hot = world.cold = _panes(world.raw)


def _invented(world: World) -> None:
    stranger = make(random.Random(4), time.time_ns() // 1_000_000 - 240_000, Countries(None))
    world.raw.append(_raw(stranger, 1_000, time.time_ns() // 1_000_000))
    world.hot = world.cold = _panes(world.raw)


def _few_in_hot(world: World) -> None:
    at = next(i for i, pane in enumerate(world.hot) if pane.grouping == ("country", "category"))
    world.hot[at] = replace(world.hot[at], measures=world.hot[at].measures - _ONE)


def _no_minute_in_cold(world: World) -> None:
    del world.cold[_total(world.cold)]


def _no_last_word(world: World) -> None:
    world.hot = [replace(pane, status=PARTIAL) for pane in world.hot]


def _no_user(world: World) -> None:
    at = _total(world.hot)
    world.hot[at] = replace(world.hot[at], sketch=world.hot[at].sketch[1:])


def _stranger(world: World) -> None:
    at = next(i for i, pane in enumerate(world.cold) if pane.grouping == ("device",))
    one = sketch.from_hashes(np.array([sketch.user_hash("nobody")], np.uint64))
    world.cold[at] = replace(world.cold[at], sketch=sketch.merge([world.cold[at].sketch, one]))


def _wrong_answer(world: World) -> None:
    world.record.complain("collector 1 said 500")


@pytest.fixture
def stores(
    valkey: ValkeyServer,
    client: redis.Redis,
    clickhouse: ClickHouseServer,
    clickhouse_admin: Connection,
) -> Iterator[Stores]:
    for table in ("events", "rollup_1m", "uniques_1m", "uniques_1h"):
        clickhouse_admin.command(f"TRUNCATE TABLE {clickhouse.database}.{table}")
    with closing(Stores(valkey.address, clickhouse.address)) as opened:
        yield opened


def _judge(stores: Stores, world: World) -> list[str]:
    stores.events.write_events(world.raw)
    stores.hot.write(world.hot)
    stores.cold.write(world.cold)
    start = int(time.time()) // MINUTE * MINUTE - 20 * MINUTE
    return judge.look(stores, world.record, start, all_sealed=True).differences


def test_a_world_in_order(stores: Stores) -> None:
    assert _judge(stores, _world()) == []


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_lost, "acknowledged and lost"),
        (_doubled, "raw events twice"),
        (_invented, "that nobody sent"),
        (_few_in_hot, "rows: hot"),
        (_no_minute_in_cold, "total rows: cold 0"),
        (_no_last_word, "is still partial"),
        (_no_user, "total users: hot has 1 registers wrong"),
        (_stranger, "users of the hour: cold lacks 0 registers, has 1 too many"),
        (_wrong_answer, "said 500"),
    ],
)
def test_damage_is_found(stores: Stores, damage: Callable[[World], None], said: str) -> None:
    world = _world()
    damage(world)
    found = _judge(stores, world)
    assert any(said in line for line in found), found
