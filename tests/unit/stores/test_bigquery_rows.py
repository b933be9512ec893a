"""Panes as rows: keys, versions, unions."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events import sketch
from stores.bigquery_rows import batches, rollup_rows, rows_of, unique_rows, version
from stores.bigquery_tables import ROLLUP, TABLES, UNIQUES_1H, UNIQUES_1M
from stores.contract import HOUR
from stores.pane import (
    ACTIVE,
    FINAL,
    GROUPING_SETS,
    MEASURES,
    MINUTE,
    PARTIAL,
    REVISED,
    Grouping,
    Pane,
    mask,
)

NOON = 1_700_049_600
US = 1_000_000


def pane(
    series: dict[tuple[str, ...], int],
    *,
    grouping: Grouping = (),
    start: int = NOON,
    width: int = MINUTE,
    status: int = FINAL,
    users: dict[int, list[int]] | None = None,
) -> Pane:
    measures = np.zeros((len(series), len(MEASURES)), np.int64)
    measures[:, 0] = list(series.values())
    measures[:, 6] = 1 << 62
    parts = [
        sketch.from_hashes(np.array(hashes, np.uint64), i) for i, hashes in (users or {}).items()
    ]
    return Pane("p", grouping, start, width, status, list(series), measures, sketch.merge(parts))


def test_a_row_of_minutes() -> None:
    (row,) = rollup_rows(pane({("DE", "tv"): 3}, grouping=("country", "device")), 1.5)
    assert row == {
        "project": "p",
        "grouping": 3,
        "minute": NOON * US,
        "country": "DE",
        "device": "tv",
        "category": "",
        "rows": 3,
        "page_views": 0,
        "clicks": 0,
        "purchases": 0,
        "errors": 0,
        "bots": 0,
        "revenue_micros": 1 << 62,
        "status": FINAL,
        "version": 15,
        "written_at": 1_500_000,
    }
    assert list(row) == [column.name for column in ROLLUP.columns]


def test_every_grouping_set_has_a_mask_of_its_own() -> None:
    assert [mask(grouping) for grouping in GROUPING_SETS] == [0, 1, 2, 4, 3, 5, 6, 7]


@given(
    st.tuples(st.integers(1, 1 << 50), st.sampled_from((PARTIAL, FINAL, REVISED))),
    st.tuples(st.integers(1, 1 << 50), st.sampled_from((PARTIAL, FINAL, REVISED))),
)
def test_the_larger_count_has_the_larger_version(
    one: tuple[int, int], two: tuple[int, int]
) -> None:
    order = (PARTIAL, REVISED, FINAL)
    expected = (one[0], order.index(one[1])) < (two[0], order.index(two[1]))
    assert (version(*one) < version(*two)) == expected


def test_series_without_rows_are_left_out() -> None:
    assert rollup_rows(pane({("a",): 0, ("b",): 1}, grouping=("device",)), 0)[0]["device"] == "b"


def test_sketches_of_the_total_are_kept_by_minute_and_by_hour() -> None:
    late = NOON + 59 * MINUTE
    found = unique_rows(
        [
            pane({(): 1}, users={0: [1, 2]}),
            pane({(): 1}, start=late, users={0: [2, 3]}),
            pane({(): 1}, start=NOON + HOUR, users={0: [9]}),
        ]
    )
    both = sketch.from_hashes(np.array([1, 2, 3], np.uint64)).tolist()
    hours = {row["bucket"] // US: row["entries"] for row in found[UNIQUES_1H]}
    assert list(hours) == [NOON, NOON + HOUR]
    assert hours[NOON] == both
    minutes = [row["bucket"] // US for row in found[UNIQUES_1M]]
    assert minutes == [NOON, late, NOON + HOUR]
    assert {row["value"] for row in found[UNIQUES_1M]} == {""}


def test_sketches_of_a_dimension_are_kept_by_hour_and_value() -> None:
    found = unique_rows(
        [pane({("a",): 1, ("b",): 1, ("c",): 1}, grouping=("device",), users={0: [1], 2: [2]})]
    )
    assert not found[UNIQUES_1M]
    assert [(row["value"], row["grouping"]) for row in found[UNIQUES_1H]] == [("a", 2), ("c", 2)]
    # Series bits are zero.
    assert max(max(row["entries"]) for row in found[UNIQUES_1H]) < 1 << 20


def test_any_batching_gives_the_same_unions() -> None:
    rng = random.Random(1)
    panes = [
        pane({(): 1}, start=NOON + minute * MINUTE, users={0: [rng.getrandbits(64)]})
        for minute in rng.choices(range(90), k=40)
    ]
    once = unique_rows(panes)
    shuffled = rng.sample(panes, len(panes))
    parts = [unique_rows(shuffled[:17]), unique_rows(shuffled[17:])]
    for table in (UNIQUES_1H, UNIQUES_1M):
        united: dict[int, set[int]] = {}
        for part in parts:
            for row in part[table]:
                united.setdefault(row["bucket"], set()).update(row["entries"])
        top = {
            bucket: sorted({entry >> 6: entry for entry in sorted(entries)}.values())
            for bucket, entries in united.items()
        }
        assert top == {row["bucket"]: row["entries"] for row in once[table]}


def test_only_minutes_and_unions_that_are_kept() -> None:
    with pytest.raises(ValueError, match="windows of 300 s"):
        rows_of([pane({(): 1}, width=ACTIVE)], 0)
    with pytest.raises(ValueError, match="no unions"):
        rows_of([pane({("a", "b"): 1}, grouping=("country", "device"), users={0: [1]})], 0)
    assert list(rows_of([], 0)) == list(TABLES)


@given(st.lists(st.binary(max_size=40)), st.integers(1, 100))
def test_batches_keep_order_and_their_limit(rows: list[bytes], limit: int) -> None:
    found = list(batches(rows, limit))
    assert [row for part in found for row in part] == rows
    for part in found:
        assert part
        assert len(part) == 1 or sum(len(row) + 5 for row in part) <= limit
