"""How many bytes an Arrow IPC stream says it unpacks to, before anything is unpacked.

A few bytes of lz4 can say that they are gigabytes, and the library allocates what they say. The
message's headers are flatbuffers (Arrow's `Message.fbs`); of those this reads the body's length and
the list of buffers, and of each buffer the eight bytes that give its size when compressed. Nothing
else is checked: that is the library's part.
"""

import struct
from collections.abc import Iterator
from typing import Final

_CONTINUATION: Final = 0xFFFFFFFF
_DICTIONARY, _RECORDS = 2, 3  # of the union MessageHeader
_LONG: Final = struct.Struct("<q")  # also before a compressed buffer; -1: it is not compressed


def size(message: bytes) -> int:
    """The sum over all buffers. Raises ValueError for what is no such stream."""
    try:
        return sum(_sizes(message))
    except struct.error as error:
        raise ValueError(f"not an Arrow stream: {error}") from None


def _sizes(message: bytes) -> Iterator[int]:
    at = 0
    while at + 8 <= len(message):
        continuation, length = struct.unpack_from("<Ii", message, at)
        if continuation != _CONTINUATION or length < 0:
            raise ValueError("not an Arrow stream: no continuation")
        if not length:  # the end of the stream
            return
        body = at + 8 + length
        # By itself, so that no offset leaves it and the work is bounded by the message's length.
        header = message[at + 8 : body]
        root = _offset(header, 0)
        kind = _field(header, root, 1)
        size_at = _field(header, root, 3)
        body_length = _LONG.unpack_from(header, size_at)[0] if size_at else 0
        if body_length < 0:
            raise ValueError("not an Arrow stream: a body of less than nothing")
        if kind and header[kind] in (_DICTIONARY, _RECORDS):
            table = _table(header, root, 2)
            if header[kind] == _DICTIONARY:
                table = _table(header, table, 1)
            yield from _buffers(header, table, message, body)
        at = body + body_length


def _buffers(header: bytes, table: int, message: bytes, body: int) -> Iterator[int]:
    """The sizes of a RecordBatch's buffers, as they are when unpacked."""
    listed = _field(header, table, 2)
    if not listed:
        return
    compressed = _field(header, table, 3) != 0
    vector = _offset(header, listed)
    (count,) = struct.unpack_from("<I", header, vector)
    if vector + 4 + count * 16 > len(header):
        raise ValueError("not an Arrow stream: more buffers than bytes")
    for offset, length in struct.iter_unpack("<qq", header[vector + 4 : vector + 4 + 16 * count]):
        if offset < 0 or length < 0 or body + offset + length > len(message):
            raise ValueError("not an Arrow stream: a buffer outside of it")
        inside = length
        if compressed and length >= _LONG.size:
            (inside,) = _LONG.unpack_from(message, body + offset)
        yield length if inside == -1 else _checked(inside)


def _checked(inside: int) -> int:
    if inside < 0:
        raise ValueError("not an Arrow stream: a buffer of less than nothing")
    return inside


def _offset(header: bytes, at: int) -> int:
    """Where the unsigned offset at `at` points to."""
    return _inside(header, at + int(struct.unpack_from("<I", header, at)[0]))


def _table(header: bytes, table: int, field: int) -> int:
    """The table that a field of a table points to. Raises ValueError when it is not there."""
    at = _field(header, table, field)
    if not at:
        raise ValueError("not an Arrow stream: a header without a part")
    return _offset(header, at)


def _field(header: bytes, table: int, field: int) -> int:
    """Where a table's field stands; 0 when it has its default."""
    vtable = _inside(header, table - int(struct.unpack_from("<i", header, table)[0]))
    (length,) = struct.unpack_from("<H", header, vtable)
    if 4 + 2 * field + 2 > length:
        return 0
    (offset,) = struct.unpack_from("<H", header, vtable + 4 + 2 * field)
    return _inside(header, table + offset) if offset else 0


def _inside(header: bytes, at: int) -> int:
    if not 0 <= at < len(header):
        raise ValueError("not an Arrow stream: an offset outside of it")
    return at
