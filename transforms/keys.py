"""A set of 64-bit keys in one array, asked and told of many keys at once.

Open addressing with linear probing: eight bytes a slot, between a quarter and half of them in use,
where a set of Python's takes about ninety bytes a key. All keys of a call take their next step
together, so no Python code runs for a key. Keys may be anybody's, so places come from a
multiplication with a secret odd number: nobody can choose keys that meet.
"""

import random
from typing import Final

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]
Mask = NDArray[np.bool_]

_LEAST_BITS: Final = 6
_FREE: Final = np.uint64(0)
_SECRET: Final = np.uint64(random.getrandbits(64) | 1)


class KeySet:
    """Keys other than 0. Not thread-safe."""

    def __init__(self) -> None:
        self._count = 0
        self._bits = _LEAST_BITS
        self._slots: Keys = np.zeros(1 << self._bits, np.uint64)

    def __len__(self) -> int:
        return self._count

    @property
    def nbytes(self) -> int:
        """Of memory."""
        return self._slots.nbytes

    def holds(self, keys: Keys) -> Mask:
        """Which of the keys are in it; never 0."""
        found = np.zeros(len(keys), np.bool_)
        if self._count:
            asked = np.arange(len(keys))
            place = self._places(keys)
            while len(asked):
                held = self._slots[place]
                same = held == keys[asked]
                on = held != _FREE
                found[asked] = same & on
                on &= ~same
                asked, place = asked[on], self._next(place[on])
        return found

    def add(self, keys: Keys) -> None:
        """Put in keys that are not in it, each of them once."""
        self._count += len(keys)
        if self._count * 2 > len(self._slots):
            keys = np.concatenate((self._slots[self._slots != _FREE], keys))
            self._bits = max(_LEAST_BITS, int(self._count * 2).bit_length())
            self._slots = np.zeros(1 << self._bits, np.uint64)
        place = self._places(keys)
        while len(keys):
            free = self._slots[place] == _FREE
            self._slots[place[free]] = keys[free]  # of several in one place, one stays
            on = self._slots[place] != keys
            keys, place = keys[on], self._next(place[on])

    def _places(self, keys: Keys) -> NDArray[np.int64]:
        return ((keys * _SECRET) >> np.uint64(64 - self._bits)).astype(np.int64)

    def _next(self, place: NDArray[np.int64]) -> NDArray[np.int64]:
        return (place + 1) & (len(self._slots) - 1)
