"""The comparison of two stores finds every difference in sealed minutes, and nothing else."""

from stores.compare import differences
from stores.pane import FINAL, PARTIAL
from tests.unit.serving.stores import MemoryReader

HOUR = 1_749_999_600


def pair() -> tuple[MemoryReader, MemoryReader]:
    stores = MemoryReader(), MemoryReader("clickhouse")
    for store in stores:
        store.put(HOUR, rows=5, clicks=2, users=["ann", "bob"])
        store.put(HOUR, ("country",), ("DE",), rows=5, users=["ann", "bob"])
        store.put(HOUR + 60, rows=1, users=["eve"])
    return stores


def found(hot: MemoryReader, cold: MemoryReader) -> list[str]:
    return list(differences(hot, cold, "p", HOUR, HOUR + 3_600))


def test_equal_stores_do_not_differ():
    assert found(*pair()) == []


def test_a_number_that_differs_is_named():
    hot, cold = pair()
    cold.put(HOUR, rows=5, clicks=1, users=["ann", "bob"])
    assert found(hot, cold) == [f"{HOUR} total clicks: hot 2, cold 1"]


def test_a_series_that_only_one_has_is_named():
    hot, cold = pair()
    cold.put(HOUR, ("country",), ("US",), rows=3)
    assert found(hot, cold) == [f"{HOUR} country:US rows: hot 0, cold 3"]


def test_users_that_differ_are_named():
    hot, cold = pair()
    hot.put(HOUR + 60, rows=1, users=["max"])
    assert found(hot, cold) == [f"{HOUR + 60} total users: not the same registers"]
    hot, cold = pair()
    hot.put(HOUR, ("country",), ("DE",), rows=5, users=["max"])
    assert found(hot, cold) == [f"{HOUR} country:DE users: not the same registers"]


def test_an_open_minute_is_nobodys_business():
    hot, cold = pair()
    hot.put(HOUR + 120, rows=9, status=PARTIAL)
    assert found(hot, cold) == []
    hot.put(HOUR + 120, rows=9, status=FINAL)
    assert found(hot, cold) == [f"{HOUR + 120} total rows: hot 9, cold 0"]
