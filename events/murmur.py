"""MurmurHash64A (Austin Appleby, 2008; little-endian) of many keys at once, in numpy.

Equal to `mmhash2.murmurhash64a` key by key. About 50 ns a key of some ten bytes, half of a call for
each; below some sixteen keys the calls are cheaper, and the callers make them.
"""

from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]

_M: Final = np.uint64(0xC6A4A7935BD1E995)
_R: Final = np.uint64(47)
_WORD: Final = 8
_TAILS: Final = np.array([(1 << 8 * size) - 1 for size in range(_WORD)], np.uint64)


def of_texts(texts: pa.StringArray, seed: int) -> Hashes:
    """Of the UTF-8 of each text; there must be no nulls."""
    if texts.null_count:
        raise ValueError("a null has no hash")
    _, offsets, data = texts.buffers()
    bounds = np.frombuffer(offsets, np.int32, len(texts) + 1, 4 * texts.offset)
    return _hashes(b"" if data is None else memoryview(data), bounds.astype(np.int64), seed)


def of_ids(ids: NDArray[np.uint8], seed: int) -> Hashes:
    """Of each row of `ids`, (n, width) bytes."""
    count, width = ids.shape
    return _hashes(ids.tobytes(), np.arange(count + 1, dtype=np.int64) * width, seed)


def _hashes(data: bytes | memoryview, bounds: NDArray[np.int64], seed: int) -> Hashes:
    """Key i is `data[bounds[i]:bounds[i + 1]]`."""
    padded = b"".join((data, bytes(_WORD)))  # the last word may reach over the end
    words: Hashes = np.ndarray(len(padded) - _WORD + 1, "<u8", padded, strides=(1,))
    at, size = bounds[:-1], np.diff(bounds)
    found = np.uint64(seed) ^ (size.astype(np.uint64) * _M)
    whole = size // _WORD
    for block in range(int(whole.max(initial=0))):
        place = at + block * _WORD
        if (rest := whole > block).all():
            found = (found ^ _mixed(words[place])) * _M
        else:
            found[rest] = (found[rest] ^ _mixed(words[place[rest]])) * _M
    tail = size % _WORD
    ended = (found ^ (words[at + whole * _WORD] & _TAILS[tail])) * _M
    found = np.where(tail > 0, ended, found)
    found ^= found >> _R
    found *= _M
    found ^= found >> _R
    return found


def _mixed(words: Hashes) -> Hashes:
    mixed = words * _M
    mixed ^= mixed >> _R
    mixed *= _M
    return mixed
