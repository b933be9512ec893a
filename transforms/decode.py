"""Messages to rows: EventBatch, newline-delimited JSON, or one JSON event per message.

Our collector sends EventBatches. Producers that are not ours may send JSON: the fields of
`events.schema.Event`, and optionally `project`, `country`, `device` and `bot`. What cannot be used
becomes a `DeadLetter` with a reason of `events.reasons.MESSAGE_REASONS`; the rest still counts.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Final, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
from msgspec import Meta
from numpy.typing import NDArray

from events import batch, limits, schema, sketch
from events.dedup import event_key

Mask = NDArray[np.bool_]  # which rows to keep

_HOT: Final = pa.schema([batch.SCHEMA.field(name) for name in batch.HOT_COLUMNS])


class Message(NamedTuple):
    """A message as read: payload, header values (None when absent) and where it stood."""

    payload: bytes
    content_type: str | None = None
    project: str | None = None
    topic: str = ""
    partition: int = 0
    offset: int = 0
    broker_ms: int = 0


@dataclass(frozen=True)
class DeadLetter:
    """What could not be used, why, and where it came from."""

    payload: bytes
    reason: str
    detail: str
    topic: str
    partition: int
    offset: int
    project: str | None = None


class Record(schema.Event, kw_only=True):
    """An event from a producer that is not ours: enriched there, or not at all."""

    project: Annotated[str, Meta(min_length=1, max_length=limits.MAX_ID_CHARS)] | None = None
    country: Annotated[str, Meta(pattern=r"^[A-Z]{2}\Z")] = "ZZ"
    device: Annotated[str, Meta(min_length=1, max_length=16)] = "other"
    bot: bool = False


class Decoded(NamedTuple):
    """The rows of one message by project (`HOT_COLUMNS`), and what was refused."""

    rows: dict[str, pa.RecordBatch]
    dead: list[DeadLetter]


_record_decoder: Final = msgspec.json.Decoder(Record)


def decode(message: Message, currency: str = "USD") -> Decoded:
    """Decode one message. Never raises on bad input: it comes back as dead letters."""
    payload = message.payload
    if not payload:
        return Decoded({}, [_dead(message, payload, "message_empty", "no bytes")])
    if message.content_type == batch.CONTENT_TYPE or batch.is_batch(payload):
        try:
            project, rows = batch.decode(payload)
        except batch.BatchError as error:
            return Decoded({}, [_dead(message, payload, error.code, str(error))])
        return Decoded({project: rows}, [])
    if payload.lstrip()[:1] != b"{":
        return Decoded({}, [_dead(message, payload, "message_undecodable", "no known format")])
    return _decode_json(message, currency)


def _decode_json(message: Message, currency: str) -> Decoded:
    records: dict[str, list[Record]] = {}
    dead = []
    for line in message.payload.split(b"\n"):
        if not line.strip():
            continue
        try:
            record = _decode_record(line, currency)
        except schema.InvalidEvent as error:
            dead.append(_dead(message, line, *error.rejection))
            continue
        project = record.project or message.project
        if project is None:
            dead.append(_dead(message, line, "message_project_missing", "no project"))
        else:
            records.setdefault(project, []).append(record)
    return Decoded({project: to_rows(project, items) for project, items in records.items()}, dead)


def _decode_record(line: bytes, currency: str) -> Record:
    record = schema.decode_with(_record_decoder, line)
    if record.currency is not None and record.currency != currency:
        raise schema.InvalidEvent(
            "currency_unsupported", f"only {currency} is taken without a collector"
        )
    return record


def to_rows(project: str, records: Iterable[Record]) -> pa.RecordBatch:
    """Records of one project as a batch of `HOT_COLUMNS`."""
    items = list(records)
    columns = {
        "event_time": pa.array([r.ts for r in items], pa.int64()),
        "dedup_key": pa.array(
            [event_key(project, r.id) if r.id else 0 for r in items], pa.uint64()
        ),
        "type": _text(r.type for r in items),
        "user_hash": pa.array([sketch.user_hash(r.user_id) for r in items], pa.uint64()),
        "category": _text(r.category or "" for r in items),
        "country": _text(r.country for r in items),
        "device": _text("bot" if r.bot else r.device for r in items),
        "bot": pa.array([r.bot for r in items], pa.bool_()),
        "revenue_micros": pa.array(
            [
                schema.micros(r.amount) if r.amount is not None and r.type == "purchase" else 0
                for r in items
            ],
            pa.int64(),
        ),
    }
    return pa.RecordBatch.from_arrays([columns[name] for name in _HOT.names], schema=_HOT)


def concat(batches: list[pa.RecordBatch], keep: list[Mask | None]) -> pa.Table:
    """One table of several batches, each reduced to the rows its mask keeps (None: all)."""
    kept = [
        rows if mask is None else rows.filter(pa.array(mask))
        for rows, mask in zip(batches, keep, strict=True)
    ]
    return pa.Table.from_batches(kept, schema=_HOT)


def _text(values: Iterable[str]) -> pa.DictionaryArray:
    return pa.array(list(values), pa.utf8()).dictionary_encode()


def _dead(message: Message, payload: bytes, reason: str, detail: str) -> DeadLetter:
    return DeadLetter(
        payload[: limits.MAX_BODY_BYTES],
        reason,
        detail[:200],
        message.topic,
        message.partition,
        message.offset,
        message.project,
    )
