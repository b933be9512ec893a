"""Decoded events to the Arrow columns of an EventBatch: a column at a time, never a row.

`rows` takes events that were enriched elsewhere (`transforms.decode.Record`) to a record batch of
`events.batch.SCHEMA`, or of some of its columns; the other functions make one column each, and the
collector composes its own from them. All of them take lists of values, one for each event, and no
Python function is called for an event: some 15 ns for a column's list, 60 to 120 for its texts.
"""

import random
import uuid
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from operator import attrgetter
from typing import Any, Final, NamedTuple, Self, TypeAlias, cast

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from events import dedup, limits, murmur, schema, sketch

Ints: TypeAlias = NDArray[np.int64]
Hashes: TypeAlias = NDArray[np.uint64]
Ids: TypeAlias = NDArray[np.uint8]  # (n, 16)

ID_BYTES: Final = 16
NONE: Final = -1  # the length of a text that is not there
_FEW: Final = 0.1  # distinct texts of which a look-up is cheaper than to copy all
_ID_CHARS: Final = 36
_DASHES: Final = (8, 13, 18, 23)
_LINE_END: Final = 0x0A
_TEXT: Final = pa.utf8()
_encode_lines: Final = msgspec.json.Encoder().encode_lines


class Fields(NamedTuple):
    """Events turned to their fields: one sequence of each, all equally long.

    `id` is what `id_bytes` takes, `props` are mappings when their column is wanted. One pass over
    the events for all of them costs what three passes for one each do.
    """

    type: Sequence[str]
    user_id: Sequence[str]
    ts: Sequence[int]
    id: Sequence[uuid.UUID | str | None] | bytes
    session_id: Sequence[str | None]
    url: Sequence[str | None]
    category: Sequence[str | None]
    amount: Sequence[Decimal | None]
    currency: Sequence[str | None]
    props: Sequence[Any]
    project: Sequence[str | None]
    country: Sequence[str]
    device: Sequence[str]
    bot: Sequence[bool]

    @classmethod
    def of(cls, events: Sequence[Any]) -> Self:
        """Of events that have all of these attributes (`transforms.decode.Record`)."""
        made: list[list[Any]] = [[] for _ in _NAMES]
        for first in range(0, len(events), _AT_ONCE):
            turned = zip(*map(_fields, events[first : first + _AT_ONCE]), strict=True)
            for column, values in zip(made, turned, strict=True):
                column += values
        return cls(*made)

    def take(self, places: Sequence[int]) -> Self:
        """Some of the events."""
        taken: list[Any] = [[column[place] for place in places] for column in self]
        if isinstance(self.id, bytes):
            ids = [self.id[ID_BYTES * place : ID_BYTES * (place + 1)] for place in places]
            taken[_NAMES.index("id")] = b"".join(ids)
        return type(self)(*taken)


_AT_ONCE: Final = 500  # tuples that stay in the processor's cache
_NAMES: Final = Fields._fields
_fields: Final = attrgetter(*_NAMES)


def rows(
    project: str, events: Fields, fields: pa.Schema, received_at: Ints | int = 0
) -> pa.RecordBatch:
    """Events of one project as a batch of some or all columns of `events.batch.SCHEMA`.

    `received_at` is one time (ms) for all, or one for each. Nobody corrects their clocks, and their
    money is in the project's currency. An event without an id has 16 zero bytes, and 0 as its key:
    it is never a duplicate. Only columns of `fields` are made. Raises `schema.InvalidEvent` on an
    amount that `schema.check` would have refused.
    """
    table = _Table(project, events, received_at)
    return pa.RecordBatch.from_arrays([getattr(table, n)() for n in fields.names], schema=fields)


def texts(values: Sequence[str | None]) -> pa.DictionaryArray:
    """Texts or nulls as a dictionary, in the order of their first appearance."""
    codes = {text: code for code, text in enumerate(dict.fromkeys(values))}
    if None in codes or len(codes) > _FEW * len(values):
        return pa.array(values, _TEXT).dictionary_encode()
    places = np.fromiter(map(codes.__getitem__, values), np.int32, len(values))
    return pa.DictionaryArray.from_arrays(places, pa.array(list(codes), _TEXT))


def integers(values: Sequence[int]) -> Ints:
    """Numbers of 64 bits."""
    return np.fromiter(values, np.int64, len(values))


def user_hashes(users: Sequence[str]) -> Hashes:
    """`sketch.user_hash` of each."""
    return murmur.of_texts(pa.array(users, _TEXT), sketch.SEED)


def parse_ids(ids: Sequence[str]) -> bytes | None:
    """The 16 bytes of each UUID; None unless all have the usual form, 8-4-4-4-12 digits."""
    joined, count = "".join(ids), len(ids)
    dashes = "-" * count
    if set(map(len, ids)) - {_ID_CHARS} or any(joined[at::_ID_CHARS] != dashes for at in _DASHES):
        return None
    try:
        found = bytes.fromhex(joined.replace("-", ""))  # leaves out spaces
    except ValueError:
        return None
    return found if len(found) == ID_BYTES * count else None


def id_bytes(ids: Sequence[uuid.UUID | str | None] | bytes) -> tuple[Ids, NDArray[np.bool_]]:
    """The 16 bytes of each, zeros where there is none, and where there is one.

    All are UUIDs, or all are texts that `parse_ids` takes, or they are what it gave. Raises
    ValueError on other texts.
    """
    if isinstance(ids, bytes):
        made = np.frombuffer(ids, np.uint8).reshape(-1, ID_BYTES)
        return made, np.ones(len(made), np.bool_)
    there = np.ones(len(ids), np.bool_)
    some = [one for one in ids if one is not None]
    if some and isinstance(some[0], str):
        joined = parse_ids(cast("list[str]", some))
    else:
        joined = b"".join([one.int.to_bytes(16, "big") for one in cast("list[uuid.UUID]", some)])
    if joined is None:
        raise ValueError("not the texts of UUIDs")
    found = np.frombuffer(joined, np.uint8).reshape(-1, ID_BYTES)
    if len(some) == len(ids):
        return found, there
    there[[one is None for one in ids]] = False
    full = np.zeros((len(ids), ID_BYTES), np.uint8)
    full[there] = found
    return full, there


def event_keys(project: str, ids: Ids) -> Hashes:
    """`dedup.event_key` of each id."""
    keys = murmur.of_ids(ids, dedup.seed(project)) & ~np.uint64(1)
    return np.where(keys == 0, np.uint64(2), keys)


def uuid7(ms: Ints) -> Ids:
    """A new UUID of version 7 (RFC 9562) for each time, of which it holds 48 bits."""
    made = np.frombuffer(random.randbytes(16 * len(ms)), np.uint8).reshape(-1, 16).copy()
    made[:, :6] = ms.astype(">i8").view(np.uint8).reshape(-1, 8)[:, 2:]
    made[:, 6] = made[:, 6] & 0x0F | 0x70
    made[:, 8] = made[:, 8] & 0x3F | 0x80
    return made


def event_times(ts: Ints, shift: Ints | int, received_at: Ints | int) -> Ints:
    """`clock.event_time` of each, `shift` being its `clock.correction`. All in ms."""
    moved = np.maximum(ts - shift, limits.MIN_TS_MS)
    return np.where(moved > received_at + limits.FUTURE_TOLERANCE_MS, received_at, moved)


def json_texts(values: Sequence[Mapping[str, Any] | None]) -> tuple[bytes, Ints]:
    """The JSON of each as `msgspec` writes it, one after the other, and how long each is.

    `NONE` is the length of None. See `strings`.
    """
    lengths = np.full(len(values), NONE, np.int64)
    there = [value for value in values if value is not None]
    if not there:
        return b"", lengths
    lines = _encode_lines(there)  # a line end within a text is written as \n
    ends = np.flatnonzero(np.frombuffer(lines, np.uint8) == _LINE_END)
    sizes = np.diff(ends, prepend=-1) - 1
    if len(there) == len(values):
        return lines.replace(b"\n", b""), sizes
    lengths[[value is not None for value in values]] = sizes
    return lines.replace(b"\n", b""), lengths


def strings(data: bytes, lengths: Ints) -> pa.StringArray:
    """UTF-8 texts that stand one after the other, `NONE` being the length of a null."""
    offsets = np.zeros(len(lengths) + 1, np.int32)
    np.cumsum(np.maximum(lengths, 0), out=offsets[1:])
    there = lengths != NONE
    valid = None if there.all() else pa.py_buffer(np.packbits(there, bitorder="little"))
    buffers = pa.py_buffer(offsets), pa.py_buffer(data)
    return pa.StringArray.from_buffers(len(lengths), *buffers, valid)


def binary(ids: Ids) -> pa.FixedSizeBinaryArray:
    """Ids as a column."""
    buffers = [None, pa.py_buffer(np.ascontiguousarray(ids))]
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(ids), buffers)


def sparse(values: Mapping[int, int], count: int) -> pa.Array:
    """Numbers of 64 bits where there are some (by place), else nulls."""
    full, missing = np.zeros(count, np.int64), np.ones(count, np.bool_)
    places = list(values)
    full[places] = list(values.values())
    missing[places] = False
    return pa.array(full, mask=missing)


def dense(values: Mapping[int, int], count: int) -> pa.Array:
    """Numbers of 64 bits where there are some (by place), else 0."""
    full = np.zeros(count, np.int64)
    full[list(values)] = list(values.values())
    return pa.array(full)


class _Table:
    """The columns of some events, each made by the method of its name."""

    def __init__(self, project: str, events: Fields, received_at: Ints | int) -> None:
        self._project = project
        self._events = events
        self._received_at = received_at
        self._count = len(events.ts)

    def event_time(self) -> pa.Array:
        return pa.array(integers(self._events.ts))

    client_time = event_time

    def received_at(self) -> pa.Array:
        return pa.array(np.full(self._count, self._received_at, np.int64))

    @cached_property
    def _ids(self) -> tuple[Ids, NDArray[np.bool_]]:
        return id_bytes(self._events.id)

    def event_id(self) -> pa.Array:
        return binary(self._ids[0])

    def dedup_key(self) -> pa.Array:
        ids, there = self._ids
        return pa.array(np.where(there, event_keys(self._project, ids), np.uint64(dedup.NEVER)))

    def type(self) -> pa.Array:
        return texts(self._events.type)

    def user_id(self) -> pa.Array:
        return texts(self._events.user_id)

    def user_hash(self) -> pa.Array:
        return pa.array(user_hashes(self._events.user_id))

    def session_id(self) -> pa.Array:
        return texts(self._events.session_id)

    def url(self) -> pa.Array:
        return texts(self._events.url)

    def category(self) -> pa.Array:
        return texts([value or "" for value in self._events.category])

    def country(self) -> pa.Array:
        return texts(self._events.country)

    def device(self) -> pa.Array:
        events = self._events
        return texts(
            [
                "bot" if bot else device
                for bot, device in zip(events.bot, events.device, strict=True)
            ]
        )

    def bot(self) -> pa.Array:
        return pa.array(self._events.bot, pa.bool_())

    @cached_property
    def _amounts(self) -> dict[int, int]:
        amounts = enumerate(self._events.amount)
        return {i: schema.micros(one) for i, one in amounts if one is not None}

    def revenue_micros(self) -> pa.Array:
        bought = {i: m for i, m in self._amounts.items() if self._events.type[i] == "purchase"}
        return dense(bought, self._count)

    def amount_micros(self) -> pa.Array:
        return sparse(self._amounts, self._count)

    def currency(self) -> pa.Array:
        return texts(self._events.currency)

    def props(self) -> pa.Array:
        return strings(*json_texts(self._events.props))
