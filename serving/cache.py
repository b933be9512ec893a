"""Answers about sealed minutes, kept in Redis for five minutes and computed by one process at once.

The cache shares a Redis with the hot store, which must not run out of memory: so it has a fixed
number of slots, and a question's hash says which. Two that meet in a slot evict each other.
"""

import hashlib
import logging
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec
import numpy as np
import redis

from stores.contract import Counts
from telemetry import metrics

KEEP: Final = 300  # seconds
SLOTS: Final = 512
MAX_BYTES: Final = 256 * 1024  # of one answer; 128 MB in all
WAIT: Final = 10.0  # seconds for another process to compute; then it is done here
_PAUSE: Final = 0.01
_VERSION: Final = 1
_Answer = TypeVar("_Answer")

_log = logging.getLogger(__name__)


class SealedCache:
    """A cache of what `stores.contract.Reader`s answer. Without its Redis it computes."""

    def __init__(self, client: Any) -> None:
        self._redis = client
        self.hits = 0
        self.misses = 0

    def get(self, question: str, compute: Callable[[], _Answer]) -> _Answer:
        """The answer to a question, from the cache or computed now.

        Whatever `compute` raises is raised, and nothing is kept.
        """
        digest = hashlib.sha256(f"{_VERSION} {question}".encode()).digest()
        slot = f"sl:cache:{int.from_bytes(digest[:4], 'big') % SLOTS}"
        lock = f"sl:lock:{digest.hex()}"
        deadline = time.monotonic() + WAIT
        try:
            while True:
                held = self._redis.get(slot)
                if held is not None and held[: len(digest)] == digest:
                    self.hits += 1
                    metrics.SERVICE_SEALED.inc("hit")
                    found: _Answer = decode(held[len(digest) :])
                    return found
                if self._redis.set(lock, b"", nx=True, px=int(WAIT * 1000)):
                    break
                if time.monotonic() > deadline:
                    metrics.SERVICE_SEALED.inc("bypass")
                    return compute()
                time.sleep(_PAUSE)
        except redis.RedisError as error:
            _log.warning("the cache: %s", error)
            metrics.SERVICE_SEALED.inc("bypass")
            return compute()
        self.misses += 1
        metrics.SERVICE_SEALED.inc("miss")
        try:
            answer = compute()
            payload = encode(answer)
            if len(payload) <= MAX_BYTES:
                self._tell(lambda: self._redis.set(slot, digest + payload, ex=KEEP))
            return answer
        finally:
            self._tell(lambda: self._redis.delete(lock))

    def _tell(self, call: Callable[[], Any]) -> None:
        try:
            call()
        except redis.RedisError as error:  # the answer is there; only the next one is computed too
            _log.warning("the cache: %s", error)


def encode(answer: Any) -> bytes:
    """Counts, users or completeness as bytes."""
    if isinstance(answer, Counts):
        found: Any = ("counts", answer.series, answer.measures.shape, answer.measures.tobytes())
    elif isinstance(answer, np.ndarray):
        found = ("bits", answer.tobytes())
    else:
        found = ("users", [(name, step, e.tobytes()) for (name, step), e in answer.items()])
    return msgspec.msgpack.encode(found)


def decode(payload: bytes) -> Any:
    """The answer of `encode`'s bytes."""
    kind, *parts = msgspec.msgpack.decode(payload)
    if kind == "counts":
        series, shape, data = parts
        measures = np.frombuffer(data, np.int64).reshape(shape)
        return Counts([tuple(name) for name in series], measures)
    if kind == "bits":
        return np.frombuffer(parts[0], np.uint8)
    return {(tuple(name), step): np.frombuffer(data, np.uint32) for name, step, data in parts[0]}
