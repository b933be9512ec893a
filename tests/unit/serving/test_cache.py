"""The cache of sealed answers: one computation, bounded room, and no answer lost without it."""

import threading
import time
from typing import Any

import numpy as np
import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from serving.cache import MAX_BYTES, SLOTS, SealedCache, decode, encode
from stores.contract import Counts


class FakeRedis:
    """GET, SET (NX) and DEL in memory."""

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}
        self.away = False
        self.lock = threading.Lock()

    def get(self, key: str) -> bytes | None:
        self._reach()
        return self.held.get(key)

    def set(self, key: str, value: bytes, nx: bool = False, **_: Any) -> bool | None:
        self._reach()
        with self.lock:
            if nx and key in self.held:
                return None
            self.held[key] = value
            return True

    def delete(self, key: str) -> None:
        self._reach()
        self.held.pop(key, None)

    def _reach(self) -> None:
        if self.away:
            raise redis.ConnectionError("away")


def counts(value: int) -> Counts:
    return Counts([("DE",)], np.full((1, 2, 7), value, np.int64))


def test_a_second_question_is_answered_from_the_cache():
    cache, calls = SealedCache(FakeRedis()), []

    def compute() -> Counts:
        calls.append(1)
        return counts(3)

    for _ in range(2):
        found = cache.get("q", compute)
        assert found.series == [("DE",)]
        assert found.measures.tolist() == counts(3).measures.tolist()
    assert len(calls) == 1
    assert (cache.hits, cache.misses) == (1, 1)


def test_another_question_is_not():
    cache = SealedCache(FakeRedis())
    assert cache.get("a", lambda: counts(1)).measures[0, 0, 0] == 1
    assert cache.get("b", lambda: counts(2)).measures[0, 0, 0] == 2


def test_many_who_ask_at_once_wait_for_one():
    store, calls, found = FakeRedis(), [], []

    def compute() -> Counts:
        calls.append(1)
        time.sleep(0.1)
        return counts(5)

    def work() -> None:
        found.append(SealedCache(store).get("q", compute).measures[0, 0, 0])

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert found == [5] * 8
    assert len(calls) == 1


def test_room_is_bounded():
    store = FakeRedis()
    cache = SealedCache(store)
    for i in range(3 * SLOTS):
        cache.get(str(i), lambda: counts(1))
    assert len(store.held) <= SLOTS
    large = Counts([()], np.zeros((1, MAX_BYTES // 56 + 1, 7), np.int64))
    fresh = FakeRedis()
    assert SealedCache(fresh).get("large", lambda: large) is large
    assert not fresh.held


def test_without_the_cache_there_still_is_an_answer():
    store = FakeRedis()
    store.away = True
    assert SealedCache(store).get("q", lambda: counts(1)).series == [("DE",)]


def test_a_failed_computation_is_raised_and_leaves_nothing():
    store = FakeRedis()
    with pytest.raises(ZeroDivisionError):
        SealedCache(store).get("q", lambda: 1 // 0)
    assert not store.held
    assert SealedCache(store).get("q", lambda: counts(1)).series == [("DE",)]


NAMES = st.lists(st.text(max_size=5), max_size=3).map(tuple)


@given(st.lists(NAMES, max_size=4, unique=True), st.integers(0, 4))
def test_counts_and_bits_survive(series: list[tuple[str, ...]], steps: int):
    measures = np.arange(len(series) * steps * 7).reshape(len(series), steps, 7)
    found = decode(encode(Counts(series, measures)))
    assert found.series == series
    assert found.measures.tolist() == measures.tolist()
    bits = np.arange(steps, dtype=np.uint8)
    assert decode(encode(bits)).tolist() == bits.tolist()


@given(
    st.dictionaries(
        st.tuples(NAMES, st.integers(0, 9)),
        st.lists(st.integers(0, 2**20 - 1), max_size=5).map(lambda e: np.array(e, np.uint32)),
        max_size=4,
    )
)
def test_unions_survive(users: dict[tuple[tuple[str, ...], int], Any]):
    found = decode(encode(users))
    assert {k: v.tolist() for k, v in found.items()} == {k: v.tolist() for k, v in users.items()}
