"""ClickHouse's `uniqCombined64(14)` state of one sketch, made and read without ClickHouse.

The layout is that of CombinedCardinalityEstimator.h and HyperLogLogCounter.h (25.8): a form byte;
then, of up to 16 (form 1) or 512 (form 2) users, a varint count and 64-bit hashes; or (form 3) the
registers, six bits each and packed as Redis packs them, how many registers hold each rank (52
uint32) and how many are zero (uint16). A register of rank r equals a hash with that low part and
bit 13 + r as its lowest other one, so small sketches travel as such hashes: 8 bytes a register
instead of 12.5 KB. The number of users is always computed by `events.sketch.estimate`.
"""

from typing import Final

import numpy as np

from events import sketch
from events.sketch import REGISTERS, Entries

_SMALL, _MEDIUM, _LARGE = 1, 2, 3
_MAX_SMALL: Final = 16
_MAX_MEDIUM: Final = 512
_MAX_RANK: Final = 50  # that a hash can show: bit 63; one more means that no bit was set
_RANKS: Final = 52
_PACKED: Final = REGISTERS * 6 // 8
_LARGE_BYTES: Final = 1 + _PACKED + 4 * _RANKS + 2
_HEADER: Final = sketch.to_blob(np.empty(0, np.uint32), dense=True)[:-_PACKED]


def to_state(entries: Entries) -> bytes:
    """The state of ONE series' entries (series bits are ignored)."""
    count = len(entries)
    rank = entries & np.uint32(63)
    if count > _MAX_MEDIUM or (count and int(rank.max()) > _MAX_RANK):
        return _large(entries)
    register = (entries >> np.uint32(6)) & np.uint32(REGISTERS - 1)
    hashes = register.astype("<u8") | np.uint64(1) << (rank.astype(np.uint64) + np.uint64(13))
    form = _SMALL if count <= _MAX_SMALL else _MEDIUM
    head = bytes((form, *_varint(count)))
    return head + bytes(hashes.astype("<u8").data)


def from_state(state: bytes) -> Entries:
    """The entries (series 0) of a state of any form. Raises ValueError when it is none."""
    form = state[0] if state else 0
    if form == _LARGE and len(state) == _LARGE_BYTES:
        return sketch.from_blob(_HEADER + state[1 : 1 + _PACKED])
    if form not in (_SMALL, _MEDIUM) or len(state) < 2:
        raise ValueError("not a state of uniqCombined64(14)")
    count, first = state[1] & 127, 2
    if state[1] & 128:
        if len(state) < 3 or state[2] & 128:
            raise ValueError("a state of uniqCombined64(14) with an odd count")
        count, first = count | state[2] << 7, 3
    if len(state) != first + 8 * count:
        raise ValueError("a state of uniqCombined64(14) of the wrong length")
    return sketch.from_hashes(np.frombuffer(state, "<u8", count, first))


def _large(entries: Entries) -> bytes:
    counts = np.bincount(sketch.registers(entries), minlength=_RANKS)
    packed = sketch.to_blob(entries, dense=True)[-_PACKED:]
    zeros = counts[:1].astype("<u2").tobytes()
    return bytes((_LARGE,)) + packed + counts.astype("<u4").tobytes() + zeros


def _varint(count: int) -> tuple[int, ...]:
    """LEB128 of a count below 16,384."""
    return (count,) if count < 128 else (count & 127 | 128, count >> 7)
