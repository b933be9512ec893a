"""How many bytes an Arrow IPC stream says it unpacks to, before anything is unpacked.

A few bytes of lz4 can say that they are gigabytes, and the library allocates what they say. The
message's headers are flatbuffers (Arrow's `Message.fbs`); of those this reads the body's length and
the list of buffers, and of each buffer the eight bytes that give its size when compressed. Nothing
else is checked: that is the library's part.
"""

import struct
from typing import Final

_CONTINUATION: Final = 0xFFFFFFFF
_DICTIONARY, _RECORDS = 2, 3  # of the union MessageHeader
_HEAD: Final = struct.Struct("<Ii").unpack_from
_UINT: Final = struct.Struct("<I").unpack_from
_INT: Final = struct.Struct("<i").unpack_from
_LONG: Final = struct.Struct("<q").unpack_from  # also before a compressed buffer; -1: it is not
_PREFIX: Final = 8
_SLOT: Final = struct.Struct("<H").unpack_from
_SLOTS: Final = [struct.Struct(f"<{count}H").unpack_from for count in range(5)]
_PAIR: Final = struct.Struct("<qq").iter_unpack


def size(message: bytes) -> int:
    """The sum over all buffers. Raises ValueError for what is no such stream."""
    try:
        return _size(message)
    except struct.error as error:
        raise ValueError(f"not an Arrow stream: {error}") from None


def _size(message: bytes) -> int:
    at = total = 0
    while at + 8 <= len(message):
        continuation, length = _HEAD(message, at)
        if continuation != _CONTINUATION or length < 0:
            raise ValueError("not an Arrow stream: no continuation")
        if not length:  # the end of the stream
            return total
        body = at + 8 + length
        # By itself, so that no offset leaves it and the work is bounded by the message's length.
        header = message[at + 8 : body]
        _, kind_at, table_at, size_at = _fields(header, _offset(header, 0))
        body_length = _LONG(header, size_at)[0] if size_at else 0
        if body_length < 0:
            raise ValueError("not an Arrow stream: a body of less than nothing")
        kind = header[kind_at] if kind_at else 0
        if kind == _DICTIONARY:
            table_at = _fields(header, _table(header, table_at))[1]
        if kind in (_DICTIONARY, _RECORDS):
            total += _buffers(header, _table(header, table_at), message, body)
        at = body + body_length
    return total


def _buffers(header: bytes, table: int, message: bytes, body: int) -> int:
    """The sizes of a RecordBatch's buffers, as they are when unpacked, added up."""
    _, _, listed, compressed = _fields(header, table)
    if not listed:
        return 0
    vector = _offset(header, listed)
    (count,) = _UINT(header, vector)
    if vector + 4 + count * 16 > len(header):
        raise ValueError("not an Arrow stream: more buffers than bytes")
    total, end = 0, len(message)
    for offset, length in _PAIR(header[vector + 4 : vector + 4 + 16 * count]):
        if offset < 0 or length < 0 or body + offset + length > end:
            raise ValueError("not an Arrow stream: a buffer outside of it")
        if compressed and length >= _PREFIX:
            (inside,) = _LONG(message, body + offset)
            if inside < -1:
                raise ValueError("not an Arrow stream: a buffer of less than nothing")
            total += length if inside == -1 else inside
        else:
            total += length
    return total


def _fields(header: bytes, table: int) -> tuple[int, int, int, int]:
    """Where a table's first four fields stand; 0 for one that has its default."""
    vtable = table - int(_INT(header, table)[0])
    if not 0 <= vtable < len(header):
        raise ValueError("not an Arrow stream: an offset outside of it")
    held = (_SLOT(header, vtable)[0] - 4) // 2  # more than its own two numbers
    slots = _SLOTS[min(max(held, 0), 4)](header, vtable + 4)
    found = [table + slot if slot else 0 for slot in slots]
    if found and max(found) >= len(header):
        raise ValueError("not an Arrow stream: an offset outside of it")
    a, b, c, d = (*found, 0, 0, 0, 0)[:4]
    return a, b, c, d


def _table(header: bytes, at: int) -> int:
    """The table that the field at `at` points to. Raises ValueError when it is not there."""
    if not at:
        raise ValueError("not an Arrow stream: a header without a part")
    return _offset(header, at)


def _offset(header: bytes, at: int) -> int:
    """Where the unsigned offset at `at` points to."""
    found = at + int(_UINT(header, at)[0])
    if found >= len(header):
        raise ValueError("not an Arrow stream: an offset outside of it")
    return found
