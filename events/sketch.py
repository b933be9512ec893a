"""HyperLogLog with Redis's own parameters: p=14, MurmurHash64A, six-bit registers.

The registers equal those `PFADD` would make, so `PFCOUNT` and `PFMERGE` work on our keys
and ClickHouse's `uniqCombined64(14)` holds the same ones (bucket = low 14 bits of the hash,
rank = trailing zeros of the other 50 + 1). Flajolet et al. 2007; Ertl 2017 for the estimate;
Redis `hyperloglog.c` for the blob.

Several sketches at once are ONE sorted `uint32` array of entries, each
``series (12 bits) | register (14 bits) | rank (6 bits)``, at most one per register. Merging is
a concatenation and a sort; the same users in any order and batching give the same bytes.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final

import mmhash2
import numpy as np
from numpy.typing import NDArray

Entries = NDArray[np.uint32]
Hashes = NDArray[np.uint64]

REGISTERS: Final = 1 << 14
MAX_SERIES: Final = 1 << 12
STANDARD_ERROR: Final = 1.04 / REGISTERS**0.5  # 0.81 %
SEED: Final = 0xADC83B19  # hyperloglog.c
_HEADER_DENSE: Final = b"HYLL\x00\x00\x00\x00" + b"\x00" * 7 + b"\x80"
_HEADER_SPARSE: Final = b"HYLL\x01\x00\x00\x00" + b"\x00" * 7 + b"\x80"
_MASK64: Final = 0xFFFFFFFFFFFFFFFF
_EMPTY: Final[Entries] = np.empty(0, np.uint32)


def user_hash(user_id: str) -> int:
    """The unsigned 64-bit MurmurHash64A of a user id's UTF-8, with Redis's seed."""
    return int(mmhash2.murmurhash64a(user_id.encode(), SEED)) & _MASK64


def from_hashes(hashes: Hashes, series: NDArray[np.integer] | int = 0) -> Entries:
    """Entries of the sketches that hold `hashes`; `series` is one id for all or one for each."""
    if not len(hashes):
        return _EMPTY
    register = (hashes & np.uint64(REGISTERS - 1)).astype(np.uint32)
    group = np.asarray(series).astype(np.uint32)
    return distinct((group << np.uint32(20)) | (register << np.uint32(6)) | rank_of(hashes))


def rank_of(hashes: Hashes) -> NDArray[np.uint8]:
    """Trailing zeros of the upper 50 bits, plus 1: 1 to 51."""
    rest = (hashes >> np.uint64(14)) | np.uint64(1 << 50)
    lowest = rest & (~rest + np.uint64(1))
    rank: NDArray[np.uint8] = np.bitwise_count(lowest - np.uint64(1)) + np.uint8(1)
    return rank


def merge(parts: Iterable[Entries]) -> Entries:
    """The union: register-wise maximum. Idempotent, commutative, associative."""
    arrays = [part for part in parts if len(part)]
    if not arrays:
        return _EMPTY
    return arrays[0] if len(arrays) == 1 else distinct(np.concatenate(arrays))


def from_registers(dense: NDArray[np.uint8]) -> Entries:
    """The entries (series 0) of 16,384 registers."""
    index = np.flatnonzero(dense).astype(np.uint32)
    return (index << np.uint32(6)) | dense[index].astype(np.uint32)


def union(parts: Sequence[Entries]) -> Entries:
    """`merge` of one series' sketches, by registers: six times faster where they are many."""
    if len(parts) == 1:
        return parts[0]
    dense = np.zeros(REGISTERS, np.uint8)
    for entries in parts:
        np.maximum(dense, registers(entries), out=dense)
    return from_registers(dense)


def renumber(entries: Entries, ids: NDArray[np.int64]) -> Entries:
    """Entries under new series ids (`ids[old] = new`); a negative new id drops the series."""
    new = ids[entries >> np.uint32(20)]
    kept = new >= 0
    low = entries[kept] & np.uint32((1 << 20) - 1)
    moved: Entries = (new[kept].astype(np.uint32) << np.uint32(20)) | low
    register = moved >> np.uint32(6)
    if np.all(register[1:] > register[:-1]):  # the series keep their order, as they mostly do
        return moved
    return distinct(moved)


def split(entries: Entries, series_count: int) -> list[Entries]:
    """One array per series id `0..series_count-1`, each with series bits cleared."""
    bounds = np.searchsorted(entries >> np.uint32(20), np.arange(series_count + 1))
    low = entries & np.uint32((1 << 20) - 1)
    return [low[a:b] for a, b in pairwise(bounds)]


def registers(entries: Entries) -> NDArray[np.uint8]:
    """The 16,384 registers of ONE series' entries (series bits are ignored)."""
    dense = np.zeros(REGISTERS, np.uint8)
    dense[(entries >> np.uint32(6)) & np.uint32(REGISTERS - 1)] = entries & np.uint32(63)
    return dense


def to_blob(entries: Entries, *, dense: bool = False) -> bytes:
    """One series' entries as the value of a Redis HLL key: sparse while small, else dense.

    The sparse form has ranks up to 32 only, as in Redis. Only the dense form is canonical: what
    PFMERGE makes of sparse values depends on the order.
    """
    rank = entries & np.uint32(63)
    if not dense and len(entries) <= 800 and not (len(entries) and int(rank.max()) > 32):
        return _sparse(entries)
    return _HEADER_DENSE + _pack(registers(entries))


def from_blob(blob: bytes) -> Entries:
    """The entries (series 0) of a Redis HLL value, sparse or dense.

    Raises ValueError when `blob` is not one.
    """
    if len(blob) < 16 or blob[:4] != b"HYLL" or blob[4] > 1:
        raise ValueError("not a HyperLogLog value")
    if blob[4] == 0:
        if len(blob) != 16 + REGISTERS * 6 // 8:
            raise ValueError("a dense HyperLogLog value of the wrong length")
        dense = _unpack(blob[16:])
    else:
        dense = _unsparse(blob[16:])
    return from_registers(dense)


def estimate(entries: Entries) -> int:
    """How many distinct users ONE series' entries hold (Ertl's estimator, as Redis counts)."""
    histogram = np.bincount(registers(entries), minlength=64).astype(np.float64)
    m, q = float(REGISTERS), 50
    z = m * _tau((m - histogram[q + 1]) / m)
    for k in range(q, 0, -1):
        z = 0.5 * (z + histogram[k])
    z += m * _sigma(histogram[0] / m)
    return round(0.721347520444481703680 * m * m / z)


def distinct(entries: Entries) -> Entries:
    """Sorted, and of each register the largest only."""
    ordered = np.sort(entries)
    last = np.empty(len(ordered), np.bool_)
    last[-1:] = True
    np.not_equal(ordered[1:] >> np.uint32(6), ordered[:-1] >> np.uint32(6), out=last[:-1])
    return ordered[last]


def _pack(dense: NDArray[np.uint8]) -> bytes:
    a, b, c, d = (dense[i::4] for i in range(4))
    packed = np.empty((len(a), 3), np.uint8)
    packed[:, 0] = a | b << 6  # what is shifted out of eight bits is in the next byte
    packed[:, 1] = b >> 2 | c << 4
    packed[:, 2] = c >> 4 | d << 2
    return packed.tobytes()


def _unpack(packed: bytes) -> NDArray[np.uint8]:
    b = np.frombuffer(packed, np.uint8).reshape(-1, 3).astype(np.uint32)
    word = b[:, 0] | b[:, 1] << 8 | b[:, 2] << 16
    quads = np.stack([word & 63, word >> 6 & 63, word >> 12 & 63, word >> 18 & 63], axis=1)
    return quads.astype(np.uint8).reshape(-1)


def _sparse(entries: Entries) -> bytes:
    out = bytearray(_HEADER_SPARSE)
    position = 0

    def zeros(count: int) -> None:
        while count > 0:
            run = min(count, REGISTERS)
            if run <= 64:
                out.append(run - 1)
            else:
                out.extend((0x40 | (run - 1) >> 8, (run - 1) & 0xFF))
            count -= run

    for entry in entries.tolist():
        register, rank = (entry >> 6) & (REGISTERS - 1), entry & 63
        zeros(register - position)
        out.append(0x80 | (rank - 1) << 2)
        position = register + 1
    zeros(REGISTERS - position)
    return bytes(out)


def _unsparse(code: bytes) -> NDArray[np.uint8]:
    dense = np.zeros(REGISTERS, np.uint8)
    position = i = 0
    while i < len(code):
        op = code[i]
        if op & 0x80:
            run = (op & 3) + 1
            dense[position : position + run] = (op >> 2 & 31) + 1
        elif op & 0x40:
            i += 1
            if i == len(code):
                raise ValueError("a sparse HyperLogLog value that ends early")
            run = ((op & 63) << 8 | code[i]) + 1
        else:
            run = op + 1
        position, i = position + run, i + 1
    if position != REGISTERS:
        raise ValueError("a sparse HyperLogLog value of the wrong length")
    return dense


def _tau(x: float) -> float:
    if x in (0.0, 1.0):
        return 0.0
    y, z = 1.0, 1.0 - x
    while True:
        x, previous = x**0.5, z
        y *= 0.5
        z -= (1.0 - x) ** 2 * y
        if z == previous:
            return z / 3.0


def _sigma(x: float) -> float:
    if x == 1.0:
        return float("inf")
    y, z = 1.0, x
    while True:
        x, previous = x * x, z
        z += x * y
        y += y
        if z == previous:
            return z
