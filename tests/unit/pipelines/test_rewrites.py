"""What a store has lost is written again; what it has is left alone."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import rewrites as module
from pipelines.rewrites import KEEP_SECONDS, Rewrites
from stores.pane import MINUTE, PARTIAL, Pane


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class FakeStore:
    """Larger count wins; what it did is a list, so that the end of it can be forgotten."""

    def __init__(self) -> None:
        self.done: list[str | Pane] = []
        self.failing = 0  # writes still to fail

    def write(self, panes: Sequence[Pane]) -> int:
        if self.failing:
            self.failing -= 1
            raise ConnectionError
        self.done += panes
        return len(panes)

    def count_write(self, writer: str) -> int:
        self.done.append(writer)
        return self.done.count(writer)

    @property
    def rows(self) -> dict[int, int]:
        found: dict[int, int] = {}
        for pane in self.done:
            if isinstance(pane, Pane):
                found[pane.start] = max(found.get(pane.start, 0), int(pane.measures[0, 0]))
        return found


def _pane(start: int, rows: int) -> Pane:
    measures = np.zeros((1, 7), np.int64)
    measures[0, 0] = rows
    return Pane("demo", (), start, MINUTE, PARTIAL, [()], measures)


def _panes(store: FakeStore) -> int:
    return sum(isinstance(done, Pane) for done in store.done)


def test_nothing_is_written_twice_while_nothing_is_lost() -> None:
    store, rewrites = FakeStore(), Rewrites()
    for rows in range(1, 5):
        assert rewrites.write(store, [_pane(60, rows)]) == 1
        rewrites.check(store)
    assert _panes(store) == 4


@pytest.mark.parametrize("kept", range(4))
def test_the_last_write_is_repeated_wherever_it_was_cut_off(kept: int) -> None:
    store, rewrites = FakeStore(), Rewrites()
    rewrites.write(store, [_pane(60, 5), _pane(120, 7)])  # two panes and the count
    del store.done[kept:]
    rewrites.check(store)
    assert store.rows == {60: 5, 120: 7}


def test_a_store_that_has_lost_everything_gets_the_last_seconds() -> None:
    clock = Clock()
    store, rewrites = FakeStore(), Rewrites(clock)
    rewrites.write(store, [_pane(60, 5)])
    clock.now += KEEP_SECONDS + 2
    rewrites.write(store, [_pane(120, 7)])
    store.done.clear()
    rewrites.write(store, [_pane(180, 1)])
    assert store.rows == {120: 7, 180: 1}


def test_a_replay_of_days_is_not_kept_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEEP_BYTES", 10_000)
    store, rewrites = FakeStore(), Rewrites(Clock())
    for start in range(0, 100 * MINUTE, MINUTE):
        rewrites.write(store, [_pane(start, 1)])
    store.done.clear()
    rewrites.check(store)
    assert 10 < len(store.rows) < 20
    assert max(store.rows) == 99 * MINUTE


def test_a_replay_that_has_not_caught_up_does_not_replace_what_is_kept() -> None:
    store, rewrites = FakeStore(), Rewrites()
    rewrites.write(store, [_pane(60, 5)])
    rewrites.write(store, [_pane(60, 2)])
    store.done.clear()
    rewrites.check(store)
    assert store.rows == {60: 5}


def test_a_thread_that_is_overtaken_hides_no_loss() -> None:
    class Overtaken(FakeStore):
        def count_write(self, writer: str) -> int:
            count = super().count_write(writer)
            if count == 1:  # before this answer is seen, another thread's write begins and ends
                rewrites.write(self, [_pane(120, 7)])
            return count

    store, rewrites = Overtaken(), Rewrites()
    rewrites.write(store, [_pane(60, 5)])
    del store.done[-2:]
    rewrites.check(store)
    assert store.rows == {60: 5, 120: 7}


def test_a_rewrite_that_fails_is_done_later() -> None:
    store, rewrites = FakeStore(), Rewrites()
    rewrites.write(store, [_pane(60, 5)])
    store.done.clear()
    store.failing = 1
    with pytest.raises(ConnectionError):
        rewrites.check(store)
    rewrites.check(store)
    assert store.rows == {60: 5}


@given(
    st.lists(
        st.one_of(
            st.tuples(st.integers(0, 3), st.integers(1, 9)),  # write: window, rows
            st.integers(0, 12),  # so many of the last things done are lost
        ),
        max_size=40,
    )
)
@settings(deadline=None)
def test_whatever_is_lost_is_there_after_the_next_check(steps: list[tuple[int, int] | int]) -> None:
    store, rewrites = FakeStore(), Rewrites(Clock())
    true: dict[int, int] = {}
    for step in steps:
        if isinstance(step, int):
            del store.done[len(store.done) - min(step, len(store.done)) :]
            rewrites.check(store)
        else:
            rewrites.write(store, [_pane(*step)])
            true[step[0]] = max(true.get(step[0], 0), step[1])
        assert store.rows == true
