"""Columns made row by row, as they are defined: what `events.columns` is compared with."""

from collections.abc import Callable
from typing import Any

import msgspec
import pyarrow as pa

from events import schema, sketch
from events.dedup import event_key
from transforms.decode import Record


def rows(
    project: str, items: list[Record], columns: pa.Schema, received_at: int = 0
) -> pa.RecordBatch:
    """What `events.columns.rows` makes."""
    amounts = [None if r.amount is None else schema.micros(r.amount) for r in items]
    made: dict[str, Callable[[], list[Any]]] = {
        "event_time": lambda: [r.ts for r in items],
        "client_time": lambda: [r.ts for r in items],
        "received_at": lambda: [received_at] * len(items),
        "event_id": lambda: [r.id.bytes if r.id else bytes(16) for r in items],
        "dedup_key": lambda: [event_key(project, r.id) if r.id else 0 for r in items],
        "type": lambda: [r.type for r in items],
        "user_id": lambda: [r.user_id for r in items],
        "user_hash": lambda: [sketch.user_hash(r.user_id) for r in items],
        "session_id": lambda: [r.session_id for r in items],
        "url": lambda: [r.url for r in items],
        "category": lambda: [r.category or "" for r in items],
        "country": lambda: [r.country for r in items],
        "device": lambda: ["bot" if r.bot else r.device for r in items],
        "bot": lambda: [r.bot for r in items],
        "revenue_micros": lambda: [
            amount if amount is not None and r.type == "purchase" else 0
            for r, amount in zip(items, amounts, strict=True)
        ],
        "amount_micros": lambda: amounts,
        "currency": lambda: [r.currency for r in items],
        "props": lambda: [
            None if r.props is None else msgspec.json.encode(r.props).decode() for r in items
        ],
    }
    arrays = [array(made[field.name](), field.type) for field in columns]
    return pa.RecordBatch.from_arrays(arrays, schema=columns)


def array(values: list[Any], kind: pa.DataType) -> pa.Array:
    """One column."""
    if pa.types.is_dictionary(kind):
        return pa.array(values, kind.value_type).dictionary_encode()
    return pa.array(values, kind)
