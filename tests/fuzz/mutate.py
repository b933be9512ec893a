"""Byte-level mutations. Every function takes the case's own random generator, and only that."""

import gzip
import random
import zlib
from collections.abc import Callable
from typing import Final

Mutation = Callable[[random.Random, bytes], bytes]

MAX_BYTES: Final = 1_200_000  # a little over the collector's limit

# What parsers stumble over, as it would stand in JSON.
TOKENS: Final[tuple[bytes, ...]] = (
    *(b"NaN", b"Infinity", b"-Infinity", b"nan", b"1e999", b"-1e999", b"1e-999", b"-0", b"00"),
    *(b"0x10", b"1.", b".5", b"1e", b"+1", b"--1", b"1_000", b"true", b"null", b"[]", b"{}"),
    *(b"9223372036854775807", b"9223372036854775808", b"-9223372036854775809"),
    *(b"18446744073709551615", b"18446744073709551616", b"4294967296", b"1" * 30, b"9" * 4_301),
    *(b"1750000000000.0", b"1.75e12", b"946684799999", b"4102444800001", b"-1", b"0"),
    *(b'"\\ud800"', b'"\\udfff\\ud800"', b'"\\ud83d\\ude00"', b'"\\u0000"', b'"\\u001f\\u001e"'),
    *(
        b'"\\x41"',
        b'"\\u12"',
        b'"\xff\xfe"',
        b'"\xed\xa0\x80"',
        b'"\xc0\x80"',
        b'"\xf4\x90\x80\x80"',
    ),
    *(b'"1e9999999999999999999"', b'"sNaN"', b'"0E-999999"', b'"1E+31"', b'"\xd9\xa1"', b'" 1 "'),
    *(b"\x00", b"\x0b", b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"// c", b"/* c */", b",,", b"::", b"}{"),
)
NAMES: Final[tuple[bytes, ...]] = (
    *(b"events", b"batch_id", b"sent_at", b"type", b"user_id", b"ts", b"id", b"session_id", b"url"),
    *(b"category", b"amount", b"currency", b"props", b"project", b"country", b"device", b"bot"),
)


def flip(rng: random.Random, data: bytes) -> bytes:
    """One to four bits."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        if out:
            out[rng.randrange(len(out))] ^= 1 << rng.randrange(8)
    return bytes(out)


def overwrite(rng: random.Random, data: bytes) -> bytes:
    """Some bytes in a row become random, 0 or 255."""
    start, stop = _span(rng, data, 16)
    size = stop - start
    new = rng.choice((rng.randbytes(size), bytes(size), b"\xff" * size))
    return data[:start] + new + data[stop:]


def truncate(rng: random.Random, data: bytes) -> bytes:
    """The end is missing."""
    return data[: rng.randrange(len(data) + 1)]


def remove(rng: random.Random, data: bytes) -> bytes:
    """A chunk is missing."""
    start, stop = _span(rng, data, 64)
    return data[:start] + data[stop:]


def duplicate(rng: random.Random, data: bytes) -> bytes:
    """A chunk stands twice, or many times."""
    start, stop = _span(rng, data, 64)
    times = rng.choice((1, 1, 1, 2, 50))
    return data[:stop] + data[start:stop] * times + data[stop:]


def splice(rng: random.Random, data: bytes) -> bytes:
    """A chunk moves to another place."""
    start, stop = _span(rng, data, 64)
    at = rng.randrange(len(data) + 1)
    return data[:at] + data[start:stop] + data[at:]


def insert_token(rng: random.Random, data: bytes) -> bytes:
    """Something that parsers stumble over, anywhere."""
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice(TOKENS) + data[at:]


def replace_value(rng: random.Random, data: bytes) -> bytes:
    """What follows a colon, up to the next comma or brace, becomes such a token."""
    colons = [at for at, byte in enumerate(data[:4_096]) if byte == 0x3A]
    if not colons:
        return insert_token(rng, data)
    start = rng.choice(colons) + 1
    ends = [end for mark in (b",", b"}") if (end := data.find(mark, start)) >= 0]
    return data[:start] + rng.choice(TOKENS) + data[min(ends, default=len(data)) :]


def duplicate_key(rng: random.Random, data: bytes) -> bytes:
    """A key more, perhaps a second time, after some brace."""
    braces = [at for at, byte in enumerate(data[:4_096]) if byte == 0x7B]
    if not braces:
        return insert_token(rng, data)
    at = rng.choice(braces) + 1
    return data[:at] + b'"' + rng.choice(NAMES) + b'":' + rng.choice(TOKENS) + b"," + data[at:]


def nest(rng: random.Random, data: bytes) -> bytes:
    """Brackets without end, balanced or not, somewhere."""
    depth = rng.choice((3, 100, 1_000, 20_000))
    opening, closing = rng.choice(((b"[", b"]"), (b'{"a":', b"}")))
    inner = opening * depth + b"1" + (closing * depth if rng.random() < 0.7 else b"")
    at = rng.randrange(len(data) + 1)
    return data[:at] + inner + data[at:]


def number(rng: random.Random, data: bytes) -> bytes:
    """A run of digits becomes another number."""
    digits = [at for at, byte in enumerate(data[:4_096]) if 0x30 <= byte <= 0x39]
    if not digits:
        return insert_token(rng, data)
    start = stop = rng.choice(digits)
    while stop < len(data) and 0x30 <= data[stop] <= 0x39:
        stop += 1
    value = rng.choice((-1, 0, 1, 2**31, 2**63, 2**64, 10**13, 10**40, rng.getrandbits(64)))
    return data[:start] + str(value).encode() + data[stop:]


MUTATIONS: Final[tuple[Mutation, ...]] = (
    *(flip, flip, overwrite, truncate, remove, duplicate, splice, insert_token),
    *(replace_value, replace_value, duplicate_key, number, nest),
)


def mutate(rng: random.Random, data: bytes, most: int = 3) -> bytes:
    """One to `most` mutations, one after the other."""
    for _ in range(rng.randint(1, most)):
        data = rng.choice(MUTATIONS)(rng, data)
    return data[:MAX_BYTES]


def field(rng: random.Random, data: bytes) -> bytes:
    """A value or a key changed, the JSON around it left whole: what gets past the parser."""
    return rng.choice((replace_value, replace_value, number, duplicate_key))(rng, data)


def zipped(rng: random.Random, data: bytes) -> bytes:
    """The data as gzip: whole, or damaged in one of the ways that gzip can be."""
    packed = gzip.compress(data, 1, mtime=0)
    kind = rng.randrange(10)
    if kind == 0:
        return packed[: rng.randrange(len(packed))]
    if kind == 1:
        return packed + rng.randbytes(rng.randint(1, 20))
    if kind == 2:
        return packed * rng.randint(2, 4)
    if kind == 3:
        return flip(rng, packed)
    if kind == 4:
        return zlib.compress(data)
    if kind == 5:
        return bomb(rng.choice((1_000_001, 5_000_000)))
    if kind == 6:  # a header with every optional field, lengths that lie
        return packed[:3] + b"\x1f" + packed[4:10] + rng.randbytes(6) + packed[10:]
    return packed


def bomb(size: int) -> bytes:
    """A gzip of that many zeros."""
    if size not in _bombs:
        _bombs[size] = gzip.compress(bytes(size), 9, mtime=0)
    return _bombs[size]


_bombs: dict[int, bytes] = {}


def _span(rng: random.Random, data: bytes, most: int) -> tuple[int, int]:
    start = rng.randrange(len(data) + 1)
    return start, min(len(data), start + rng.randint(1, most))
