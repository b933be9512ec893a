"""The rows of a request's good events, each part of them where its users' partition is.

A large request becomes columns at once, while its objects are still in the processor's cache. In a
small one columns would cost more than the rows: those wait for a message with others.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa

from events import batch, clock, columns, dedup, schema, sketch
from events.agent import Agent
from serving.ingest.reader import Money, Read
from serving.projects import Project

Row = tuple[Any, ...]  # in the order of batch.SCHEMA

ROW_BYTES: Final = 1_024  # what a row weighs beside its JSON

_FEW: Final = 256  # events, below which rows are cheaper; columns halve what 1,000 cost
_NO_MONEY: Final = Money(None, 0)
_encode: Final = msgspec.json.Encoder().encode

# `batch.SCHEMA` before its texts are a dictionary, which is made for a message.
PLAIN: Final = pa.schema(
    [
        (field.name, field.type.value_type if pa.types.is_dictionary(field.type) else field.type)
        for field in batch.SCHEMA
    ]
)


class Sender(NamedTuple):
    """What the request says about all its events."""

    received_at: int  # ms, our clock
    country: str
    agent: Agent


@dataclass(slots=True)
class Part:
    """The rows of one request that go to one partition: tuples, or columns of `PLAIN`."""

    rows: list[Row] | pa.RecordBatch
    count: int
    bytes: int


def make_parts(read: Read, project: Project, sender: Sender, partitions: int) -> dict[int, Part]:
    """The good events of a request by partition."""
    if not read.events:
        return {}
    make = _few if len(read.events) < _FEW else _many
    return make(read, project.name, sender, partitions)


def partition_of(salt: int, user_hash: int, partitions: int) -> int:
    """The partition of a user's events in the project of that salt (`events.dedup.salt`)."""
    return ((user_hash ^ salt) >> 32) % partitions


def partitions_of(salt: int, user_hashes: columns.Hashes, partitions: int) -> columns.Ints:
    """The same of many users."""
    found = ((user_hashes ^ np.uint64(salt)) >> np.uint64(32)) % np.uint64(partitions)
    return found.astype(np.int64)


def _few(read: Read, project: str, sender: Sender, partitions: int) -> dict[int, Part]:
    salt = dedup.salt(project)
    key = None if read.batch_id is None else dedup.batch_key(project, read.batch_id)
    shift = clock.correction(read.sent_at, sender.received_at)
    rows: dict[int, list[Row]] = {}
    for place, event in enumerate(read.events):
        user_hash = sketch.user_hash(event.user_id)
        money = read.money.get(place, _NO_MONEY)
        row = _row(event, user_hash, key, shift, money, project, sender)
        rows.setdefault(partition_of(salt, user_hash, partitions), []).append(row)
    if len(rows) == 1:
        sizes = [read.bytes]
    else:
        sizes = _sizes(
            [
                sum([len(r[_URL] or "") * 4 + len(r[_PROPS] or "") for r in p])
                for p in rows.values()
            ],
            [len(part) for part in rows.values()],
            read,
        )
    return {
        partition: Part(part, len(part), size + len(part) * ROW_BYTES)
        for (partition, part), size in zip(rows.items(), sizes, strict=True)
    }


_URL: Final = batch.SCHEMA.get_field_index("url")
_PROPS: Final = batch.SCHEMA.get_field_index("props")


def _row(
    event: schema.Event,
    user_hash: int,
    batch_key: int | None,
    shift: int,
    money: Money,
    project: str,
    sender: Sender,
) -> Row:
    received_at = sender.received_at
    if event.id is None:
        event_id = uuid7(received_at)
        dedup_key = dedup.NEVER if batch_key is None else batch_key
    else:
        event_id = event.id.bytes
        dedup_key = dedup.event_key(project, event.id) if batch_key is None else batch_key
    return (
        clock.shifted(event.ts, shift, received_at),
        event.ts,
        received_at,
        event_id,
        dedup_key,
        event.type,
        event.user_id,
        user_hash,
        event.session_id,
        event.url,
        event.category or "",
        sender.country,
        sender.agent.device,
        sender.agent.bot,
        money.revenue,
        money.amount,
        event.currency,
        None if event.props is None else _encode(event.props),
    )


def uuid7(ms: int) -> bytes:
    """The 16 bytes of a new UUID of version 7 (RFC 9562)."""
    value = (ms & (1 << 48) - 1) << 80 | random.getrandbits(80)
    value = value & ~(0xF << 76) | 0x7 << 76
    return (value & ~(0x3 << 62) | 0x2 << 62).to_bytes(16, "big")


def _many(read: Read, project: str, sender: Sender, partitions: int) -> dict[int, Part]:
    hashes = columns.user_hashes([e.user_id for e in read.events])
    where = partitions_of(dedup.salt(project), hashes, partitions)
    order = np.argsort(where, kind="stable")
    rows = _columns(read, order, hashes[order], project, sender)
    ends = np.cumsum(np.bincount(where, minlength=partitions))
    counts = np.diff(ends, prepend=0)
    large = _bounds(rows, "url") + _bounds(rows, "props")
    texts = np.diff(large[ends], prepend=0)
    there = np.flatnonzero(counts).tolist()
    sizes = _sizes(texts[there].tolist(), counts[there].tolist(), read)
    parts = {}
    for partition, size in zip(there, sizes, strict=True):
        count = int(counts[partition])
        held = rows.slice(int(ends[partition]) - count, count)
        parts[partition] = Part(held, count, size + count * ROW_BYTES)
    return parts


def _columns(
    read: Read, order: columns.Ints, hashes: columns.Hashes, project: str, sender: Sender
) -> pa.RecordBatch:
    """All of a request's events in that order, as columns of `PLAIN`."""
    places, count, text = order.tolist(), len(order), pa.utf8()
    events = [read.events[place] for place in places]
    money = {i: read.money[place] for i, place in enumerate(places) if place in read.money}
    ts = columns.integers([e.ts for e in events])
    shift = clock.correction(read.sent_at, sender.received_at)
    ids, there = columns.id_bytes([e.id for e in events])
    keys: columns.Hashes
    if read.batch_id is not None:
        keys = np.full(count, dedup.batch_key(project, read.batch_id), np.uint64)
    else:
        keys = np.where(there, columns.event_keys(project, ids), np.uint64(dedup.NEVER))
    if not there.all():
        ids[~there] = columns.uuid7(np.full(count - int(there.sum()), sender.received_at))
    made = {
        "event_time": pa.array(columns.event_times(ts, shift, sender.received_at)),
        "client_time": pa.array(ts),
        "received_at": pa.array(np.full(count, sender.received_at, np.int64)),
        "event_id": columns.binary(ids),
        "dedup_key": pa.array(keys),
        "type": pa.array([e.type for e in events], text),
        "user_id": pa.array([e.user_id for e in events], text),
        "user_hash": pa.array(hashes),
        "session_id": pa.array([e.session_id for e in events], text),
        "url": pa.array([e.url for e in events], text),
        "category": pa.array([e.category or "" for e in events], text),
        "country": pa.repeat(pa.scalar(sender.country, text), count),
        "device": pa.repeat(pa.scalar(sender.agent.device, text), count),
        "bot": pa.repeat(sender.agent.bot, count),
        "revenue_micros": columns.dense({i: m.revenue for i, m in money.items()}, count),
        "amount_micros": columns.sparse(
            {i: m.amount for i, m in money.items() if m.amount is not None}, count
        ),
        "currency": pa.array([e.currency for e in events], text),
        "props": columns.strings(*columns.json_texts([e.props for e in events])),
    }
    return pa.RecordBatch.from_arrays([made[name] for name in PLAIN.names], schema=PLAIN)


def _bounds(rows: pa.RecordBatch, name: str) -> columns.Ints:
    """Where the texts of a column begin, in bytes, and where the last ends."""
    offsets = rows.column(name).buffers()[1]
    return np.frombuffer(offsets, np.int32, rows.num_rows + 1).astype(np.int64)


def _sizes(large: Sequence[int], counts: Sequence[int], read: Read) -> list[int]:
    """What each part has of the JSON: its large texts, and of the rest by its rows.

    Url and props may be all in one part; of the other fields no part has much over its share.
    """
    rest, total = max(0, read.bytes - sum(large)), len(read.events)
    return [texts + rest * rows // total for texts, rows in zip(large, counts, strict=True)]
