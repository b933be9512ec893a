"""The `dedup_key` column: which rows the pipeline may take for repeats of each other.

0 never repeats; an odd key names a request by its batch id; an even key names one event by its id.
Keys of two projects do not meet: the project seeds the hash.
"""

import uuid
from functools import lru_cache
from typing import Final

import mmhash2

from events import sketch

NEVER: Final = 0
_MASK64: Final = 0xFFFFFFFFFFFFFFFF


def batch_key(project: str, batch_id: str) -> int:
    """The odd key of a request that carries a batch id."""
    return int(mmhash2.murmurhash64a(batch_id.encode(), seed(project))) & _MASK64 | 1


def event_key(project: str, event_id: uuid.UUID) -> int:
    """The even key of an event that carries an id, never 0."""
    return int(mmhash2.murmurhash64a(event_id.bytes, seed(project))) & (_MASK64 - 1) or 2


@lru_cache(1024)
def salt(project: str) -> int:
    """64 bits that stand for the project in hashes."""
    return sketch.user_hash(project)


def seed(project: str) -> int:
    """What the hashes of the project's keys start from."""
    return salt(project) & 0x7FFFFFFF
