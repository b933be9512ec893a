"""The wire codec: an EventBatch is one Arrow IPC stream of one record batch, lz4.

All events of a batch belong to one project, which stands in the schema's metadata beside the
version. Strings are dictionary-encoded. A reader that needs a few columns projects them, and
pays for those only (about 9 ns an event). Never pickled, never row by row.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pyarrow as pa

from events import limits, masking, unpacked

VERSION: Final = "1"
CONTENT_TYPE: Final = "application/vnd.apache.arrow.stream"  # IANA
CONTENT_TYPE_NDJSON: Final = "application/x-ndjson"
CONTENT_TYPE_JSON: Final = "application/json"
HEADER_CONTENT_TYPE: Final = "content-type"
HEADER_PROJECT: Final = "project"
HEADER_COUNT: Final = "count"  # of rows, so that one that cannot be decoded is known for so many

_TEXT: Final = pa.dictionary(pa.int32(), pa.utf8())

SCHEMA: Final = pa.schema(
    [
        ("event_time", pa.int64()),  # ms, after skew rule and future clamp: what windows use
        ("client_time", pa.int64()),  # ms, as the client said
        ("received_at", pa.int64()),  # ms, the collector's clock
        ("event_id", pa.binary(16)),
        # 0: never a duplicate; odd: hash of the batch id; even: hash of the event id
        ("dedup_key", pa.uint64()),
        ("type", _TEXT),
        ("user_id", _TEXT),
        ("user_hash", pa.uint64()),  # MurmurHash64A, Redis's seed
        ("session_id", _TEXT),
        ("url", _TEXT),
        ("category", _TEXT),  # "" when there is none
        ("country", _TEXT),  # ISO 3166-1 alpha-2, "ZZ" unknown
        ("device", _TEXT),  # desktop, mobile, tablet, tv, other, bot
        ("bot", pa.bool_()),
        ("revenue_micros", pa.int64()),  # in the project's currency
        ("amount_micros", pa.int64()),  # as sent
        ("currency", _TEXT),
        ("props", pa.utf8()),  # JSON text
    ]
)

# What the metrics need.
HOT_COLUMNS: Final = (
    "event_time",
    "received_at",
    "dedup_key",
    "type",
    "user_hash",
    "category",
    "country",
    "device",
    "bot",
    "revenue_micros",
)

_WRITE_OPTIONS: Final = pa.ipc.IpcWriteOptions(
    compression="lz4",
    use_threads=False,  # a pool of threads costs eight times what these small buffers do
)
_HOT_SCHEMA: Final = pa.schema([SCHEMA.field(name) for name in HOT_COLUMNS])
_HOT_INDEXES: Final = [SCHEMA.get_field_index(name) for name in HOT_COLUMNS]


class BatchError(ValueError):
    """Bytes that are no EventBatch; `code` is one of `events.reasons.MESSAGE_REASONS`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def encode(project: str, columns: Mapping[str, Sequence[Any]]) -> bytes:
    """One EventBatch. `columns` has every name of `SCHEMA`, equally long lists."""
    arrays = [
        pa.array(columns[field.name], pa.utf8()).dictionary_encode()
        if field.type == _TEXT
        else pa.array(columns[field.name], field.type)
        for field in SCHEMA
    ]
    return pack(project, arrays)


def pack(project: str, arrays: Sequence[pa.Array]) -> bytes:
    """One EventBatch of columns that are Arrow arrays, in the order of `SCHEMA`."""
    schema = SCHEMA.with_metadata({"project": project, "version": VERSION})
    batch = pa.RecordBatch.from_arrays(arrays, schema=schema)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema, options=_WRITE_OPTIONS) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


def decode(message: bytes, *, hot_only: bool = True) -> tuple[str, pa.RecordBatch]:
    """`(project, rows)` of an EventBatch, with `HOT_COLUMNS` or all columns of `SCHEMA`.

    Raises `BatchError` for anything else than a batch of this version that `encode` could make.
    """
    options = pa.ipc.IpcReadOptions(
        included_fields=_HOT_INDEXES if hot_only else None, use_threads=False
    )
    try:
        if unpacked.size(message) > limits.MAX_UNPACKED_BYTES:
            raise BatchError("message_too_large", "the columns are over the limit of bytes")
        with pa.ipc.open_stream(message, options=options) as reader:
            schema = reader.schema
            if (schema.metadata or {}).get(b"version") != VERSION.encode():
                raise BatchError("message_schema_unsupported", "not a batch of version 1")
            rows = reader.read_next_batch()
            rows.validate(full=True)
            if next(iter(reader), None) is not None:
                raise BatchError("message_schema_unsupported", "more than one record batch")
    except BatchError:
        raise
    except (pa.ArrowException, OSError, StopIteration, EOFError, ValueError) as error:
        raise BatchError("message_undecodable", masking.sentence(str(error)[:200])) from error
    if not schema.equals(_HOT_SCHEMA if hot_only else SCHEMA):
        raise BatchError("message_schema_unsupported", "columns other than the schema's")
    project = schema.metadata.get(b"project", b"").decode("utf-8", "replace")
    if not project:
        raise BatchError("message_project_missing", "the batch names no project")
    return project, rows


def is_batch(message: bytes) -> bool:
    """Whether the bytes start like an Arrow IPC stream (its continuation marker)."""
    return message[:4] == b"\xff\xff\xff\xff"
