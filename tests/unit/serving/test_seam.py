"""Two stores as one: every minute from exactly one of them, whatever the boundary."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from events import sketch
from serving.seam import AWAY, HOT_HOURS, PAUSE, Reading, Stores, Unanswered
from stores.contract import Slice, TooMuch, edges
from stores.pane import FINAL, PARTIAL, REVISED, SKETCHED
from tests.unit.serving.stores import MemoryReader

NOW = 1_750_000_000.0
HOUR = 1_749_999_600
START, END = HOUR - 3 * 3_600, HOUR + 3 * 3_600
COUNTRIES = ("DE", "US")


@st.composite
def minutes(draw: st.DrawFn) -> dict[int, tuple[int, int, list[str]]]:
    """Some minutes with rows, a status and users."""
    return draw(
        st.dictionaries(
            st.integers(0, (END - START) // 60 - 1).map(lambda i: START + 60 * i),
            st.tuples(
                st.integers(1, 9),
                st.sampled_from([PARTIAL, FINAL, REVISED]),
                st.lists(st.sampled_from("abcdef"), max_size=3),
            ),
            max_size=40,
        )
    )


def fill(store: MemoryReader, at: int, rows: int, status: int, users: list[str]) -> None:
    country = COUNTRIES[at // 60 % 2]
    store.put(at, rows=rows, status=status, users=users)
    store.put(at, ("country",), (country,), rows=rows, users=users)


@given(
    minutes(),
    st.integers(-10, (END - START) // 60 + 10),
    st.sampled_from([60, 3_600, 0]),
    st.sampled_from(SKETCHED[:2]),
    st.integers(0, 3),
)
def test_the_seam_can_be_anywhere(
    data: dict[int, tuple[int, int, list[str]]],
    boundary: int,
    step: int,
    grouping: tuple[str, ...],
    shift: int,
):
    at = START + 60 * boundary
    whole, hot, cold = MemoryReader(), MemoryReader(), MemoryReader("clickhouse")
    for minute, values in data.items():
        fill(whole, minute, *values)
        fill(hot if minute >= at else cold, minute, *values)
    reading = Reading(hot, cold, None, frozenset(), at, 0)
    ask = Slice("p", grouping, edges(START + 3_600 * shift, END, step), (), grouping)

    mine, truth = reading.counts(ask), whole.counts(ask)
    assert dict(zip(mine.series, mine.measures.tolist(), strict=True)) == dict(
        zip(truth.series, truth.measures.tolist(), strict=True)
    )
    bits, true_bits = reading.completeness("p", ask.edges), whole.completeness("p", ask.edges)
    assert bits.tolist() == true_bits.tolist()
    if ask.has_users:
        users, true_users = reading.users(ask), whole.users(ask)
        assert {k: v.tolist() for k, v in users.items()} == {
            k: v.tolist() for k, v in true_users.items()
        }
    served = reading.served(ask.start, ask.end)
    assert sum(high - low for _, low, high in served) == ask.end - ask.start
    assert not reading.missing(ask.start, ask.end)


def test_the_union_over_the_seam_is_the_estimate_of_one_sketch():
    hot, cold = MemoryReader(), MemoryReader("clickhouse")
    first, second = [f"u{i}" for i in range(3_000)], [f"u{i}" for i in range(2_000, 5_000)]
    cold.put(HOUR - 60, rows=3_000, users=first)
    hot.put(HOUR, rows=3_000, users=second)
    reading = Reading(hot, cold, None, frozenset(), HOUR, 0)
    [union] = reading.users(Slice("p", (), (HOUR - 60, HOUR + 60))).values()
    hashes = np.array([sketch.user_hash(f"u{i}") for i in range(5_000)], np.uint64)
    assert sketch.estimate(union) == sketch.estimate(sketch.from_hashes(hashes))


def test_the_boundary_is_a_day_ago_on_the_hour():
    hot, cold = MemoryReader(), MemoryReader("clickhouse")
    hot.beginning = 0
    boundary = Stores(hot, cold).ask(NOW, lambda reading: reading.boundary)
    assert boundary == HOUR - HOT_HOURS * 3_600


@pytest.mark.parametrize(
    ("since", "boundary"),
    [
        (int(NOW) - 1_800 - 40, int(NOW) - 1_800 - 40),  # began half an hour ago
        (None, 1_750_000_020),  # holds nothing for sure
        (int(NOW) + 9_000, 1_750_000_020),
    ],
)
def test_a_store_that_began_lately_serves_from_then_on(since: int | None, boundary: int):
    hot = MemoryReader()
    hot.beginning = since
    stores = Stores(hot, MemoryReader("clickhouse"))
    assert stores.ask(NOW, lambda reading: reading.boundary) == boundary


def test_without_history_the_hot_store_answers_alone():
    stores = Stores(MemoryReader(), None)
    reading = stores.ask(NOW, lambda reading: reading)
    assert reading.boundary is None
    assert reading.served(START, END) == [("hot", START, END)]


def test_a_hot_store_that_is_away_leaves_what_is_final_to_history():
    hot, cold, time = MemoryReader(), MemoryReader("clickhouse"), [100.0]
    hot.away = "no route"
    cold.put(HOUR, rows=4)
    stores = Stores(hot, cold, clock=lambda: time[0])

    def answer(reading: Reading) -> tuple[int, list[tuple[str, int, int]], list[str]]:
        counts = reading.counts(Slice("p", (), (HOUR, HOUR + 6_000)))
        gaps = reading.missing(HOUR, HOUR + 6_000)
        assert gaps[0].end == HOUR + 6_000
        assert NOW - 180 < gaps[0].start < NOW
        with pytest.raises(ValueError, match="away"):
            reading.active_users(Slice("p", (), (HOUR, HOUR + 60)), NOW)
        return (
            int(counts.measures.sum()),
            reading.served(HOUR, HOUR + 6_000),
            [gap.reason for gap in gaps],
        )

    total, served, reasons = stores.ask(NOW, answer)
    assert (total, reasons) == (4, [AWAY])
    assert [name for name, _, _ in served] == ["clickhouse"]

    hot.away, hot.beginning = "", 0
    assert stores.ask(NOW, lambda reading: reading.missing(HOUR, END))  # not asked for a moment
    time[0] += PAUSE
    assert not stores.ask(NOW, lambda reading: reading.missing(HOUR, END))


def test_a_store_that_fails_in_the_middle_is_left_out_and_all_is_asked_anew():
    hot, cold = MemoryReader(), MemoryReader("clickhouse")
    hot.beginning = 0
    hot.put(HOUR, rows=4)
    asked = []

    def answer(reading: Reading) -> int:
        asked.append(reading)
        found = reading.counts(Slice("p", (), (HOUR, HOUR + 60)))
        cold.away = "restarts"
        reading.counts(Slice("p", (), (HOUR - 90_000, HOUR)))
        return int(found.measures.sum())

    assert Stores(hot, cold).ask(NOW, answer) == 4
    assert len(asked) == 2


def test_with_no_store_there_is_no_answer():
    hot, cold = MemoryReader(), MemoryReader("clickhouse")
    hot.away = cold.away = "gone"
    stores = Stores(hot, cold)
    for _ in range(2):
        with pytest.raises(Unanswered):
            stores.ask(NOW, lambda reading: reading.counts(Slice("p", (), (START, END))))


def test_what_is_too_much_is_no_failure_of_the_store():
    class Strict(MemoryReader):
        def completeness(self, project: str, edges: Sequence[int]) -> NDArray[np.uint8]:
            raise TooMuch("10 series")

    hot = Strict()
    stores = Stores(hot, None)
    with pytest.raises(TooMuch):
        stores.ask(NOW, lambda reading: reading.completeness("p", (START, END)))
    assert stores.ask(NOW, lambda reading: reading.missing(START, END)) == []
