"""Raw events on a real ClickHouse server."""

import time
import uuid
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest

from deploy.artifacts import REPO
from deploy.clickhouse import ClickHouseServer
from events import batch
from stores.clickhouse import ClickHouseStore
from stores.clickhouse_client import Address, Connection
from stores.clickhouse_events import ClickHouseEvents
from stores.contract import HOUR, RawBatch, Slice, edges
from stores.pane import FINAL, MINUTE, Pane
from transforms.aggregate import Cells

pytestmark = pytest.mark.integration

START = int(time.time()) // HOUR * HOUR - 30 * HOUR
END = START + HOUR
TYPES = ("page_view", "click", "purchase", "error", "signup")


@pytest.fixture(scope="module")
def store(clickhouse: ClickHouseServer) -> Iterator[ClickHouseEvents]:
    opened = ClickHouseEvents(clickhouse.address, clickhouse.reader_address)
    yield opened
    opened.close()


def rows(seed: int, count: int) -> pa.RecordBatch:
    """Events of one message; every seed has strings of its own, in an order of its own."""
    rng = np.random.default_rng(seed)
    names = [f"{seed}-{i}" for i in rng.permutation(7)]
    millis = START * 1000 + rng.integers(0, HOUR * 1000, count)
    types = rng.choice(TYPES, count)
    columns = {
        "event_time": millis.tolist(),
        "client_time": (millis - 5).tolist(),
        "received_at": (millis + 5).tolist(),
        "event_id": [uuid.UUID(int=seed << 64 | i).bytes for i in range(count)],
        "dedup_key": (rng.integers(0, 1 << 63, count).astype(np.uint64) << np.uint64(1)).tolist(),
        "type": types.tolist(),
        "user_id": [f"user {seed} {i % 9}" for i in range(count)],
        "user_hash": rng.integers(1 << 62, 1 << 63, count).tolist(),
        "session_id": [""] * count,
        "url": [f"https://x/{names[i % 7]}" if i % 5 else "" for i in range(count)],
        "category": [names[i % 3] if i % 4 else None for i in range(count)],
        "country": rng.choice(["DE", "US"], count).tolist(),
        "device": ["mobile"] * count,
        "bot": (rng.random(count) < 0.2).tolist(),
        "revenue_micros": rng.integers(-(10**12), 10**12, count).tolist(),
        "amount_micros": [0] * count,
        "currency": ["EUR"] * count,
        "props": ['{"a":"é"}'] * count,
    }
    return batch.decode(batch.encode("p", columns), hot_only=False)[1]


def messages(project: str, count: int = 4) -> list[RawBatch]:
    """Messages of two partitions, with gaps between the rows as a filter leaves them."""
    found = []
    for offset in range(count):
        part = rows(offset, 150 + offset)
        numbers = np.arange(part.num_rows) * 2 + 1
        found.append(RawBatch(project, offset % 2, 1 << 40 | offset, numbers, part))
    return found


def panes(batches: list[RawBatch]) -> list[Pane]:
    """What the pipeline counts of the same rows."""
    table = pa.Table.from_batches([each.rows for each in batches])
    return [
        Pane(
            batches[0].project,
            part.grouping,
            part.start,
            MINUTE,
            FINAL,
            [tuple(name.split("\x1f")) if part.grouping else () for name in part.cube.names],
            part.cube.measures,
        )
        for part in Cells(table).minutes()
    ]


def test_both_paths_give_the_same_numbers_whatever_is_replayed(
    clickhouse: ClickHouseServer, store: ClickHouseEvents
) -> None:
    sent = messages("ledger")
    assert store.write_events(sent) == 150 + 151 + 152 + 153
    assert store.write_events(sent[2:] + sent[:1]) == 152 + 153 + 150
    for each in sent:
        store.write_events([each])
    rollups = ClickHouseStore(clickhouse.address, clickhouse.reader_address)
    rollups.write(panes(sent))
    expected = rollups.counts(Slice("ledger", (), edges(START, END, MINUTE)))
    assert store.minute_counts("ledger", START, END).tolist() == expected.measures[0].tolist()
    assert not store.minute_counts("nobody", START, END).any()
    rollups.close()


def test_every_column_arrives(clickhouse: ClickHouseServer, store: ClickHouseEvents) -> None:
    sent = messages("columns")
    store.write_events(sent)
    connection = Connection(Address.parse(clickhouse.reader_address), 10, {})
    names = ", ".join(batch.SCHEMA.names)
    found = connection.table(
        f"SELECT {names}, offset, row, event_uuid FROM streamlens.events FINAL"
        " WHERE project = 'columns' ORDER BY offset, row"
    ).to_pydict()
    connection.close()
    for name in batch.SCHEMA.names:
        expected = [value for each in sent for value in each.rows.column(name).to_pylist()]
        if name == "category":
            expected = [value or "" for value in expected]
        if name in ("event_time", "client_time", "received_at"):
            found[name] = [round(value.timestamp() * 1000) for value in found[name]]
        assert found[name] == expected, name
    assert found["row"] == [n for each in sent for n in each.numbers.tolist()]
    assert found["event_uuid"][0] == str(uuid.UUID(bytes=found["event_id"][0]))


def test_gaps_of_sessions_as_the_documentation_finds_them(
    clickhouse: ClickHouseServer, store: ClickHouseEvents
) -> None:
    numbers = {
        "whole": [*range(6)],
        "wraps": [*range(4_096), 0, 1, 2],
        "twice": [0, 1, 1, 2],  # under one id
        "holes": [0, 3, 4, 7],
        "begun": [2, 3],
        "": [9, 5],
    }
    sent = []
    for offset, (session, numbered) in enumerate(numbers.items()):
        part = rows(offset, len(numbered))
        ids = [event_id(START * 1_000 + n // 4, s) for n, s in enumerate(numbered)]
        if session == "twice":
            ids[2] = ids[1]
        for name, values in (("event_id", ids), ("session_id", [session] * len(ids))):
            place = part.schema.get_field_index(name)
            column = part.schema.field(place)
            part = part.set_column(place, column, pa.array(values).cast(column.type))
        sent.append(RawBatch("gaps", 0, offset, np.arange(part.num_rows), part))
    store.write_events(sent)
    text = (REPO / "docs" / "operations.md").read_text()
    sql = text.partition("```sql\n")[2].partition("```")[0]
    connection = Connection(Address.parse(clickhouse.reader_address), 10, {})
    found = connection.table(
        sql.replace("FROM events", "FROM streamlens.events"),
        {"project": "gaps", "start": START, "end": END},
    ).to_pydict()
    connection.close()
    assert dict(zip(found["session_id"], found["missing"], strict=True)) == {"holes": 4, "begun": 2}


def event_id(ms: int, number: int) -> bytes:
    """As the SDK makes them, but for chance."""
    return (ms << 80 | 0x7 << 76 | (number % 4_096) << 64 | 0x2 << 62 | number).to_bytes(16, "big")


def test_pages(store: ClickHouseEvents) -> None:
    sent = messages("pages")
    store.write_events(sent)
    expected: dict[str, int] = {}
    for each in sent:
        for row in each.rows.to_pylist():
            if row["url"] and not row["bot"] and row["country"] == "DE":
                expected[row["url"]] = expected.get(row["url"], 0) + 1
    ordered = sorted(expected.items(), key=lambda item: (-item[1], item[0]))
    assert store.pages("pages", START, END, 5, {"country": ("DE", "FR")}) == ordered[:5]
    assert len(store.pages("pages", START, END, 100)) == 28
    assert store.write_events([]) == 0
