"""What a screen's sums say after snapshots and deltas."""

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.screen import Minutes, Push

minutes = st.dictionaries(st.integers(0, 20), st.tuples(st.integers(0, 999), st.integers(0, 999)))


def push(shown: dict[int, tuple[int, int]], kind: str = "delta") -> Push:
    return Push(
        kind,
        list(shown),
        [events for events, _ in shown.values()],
        [cents / 100 for _, cents in shown.values()],
    )


@given(st.lists(minutes, max_size=12))
def test_sums_are_those_of_the_last_word_on_each_minute(pushes: list[dict[int, tuple[int, int]]]):
    screen = Minutes()
    last: dict[int, tuple[int, int]] = {}
    for shown in pushes:
        screen.show(push(shown))
        last |= shown
    assert screen.events == sum(events for events, _ in last.values())
    assert screen.micros == sum(cents * 10_000 for _, cents in last.values())


@given(minutes)
def test_a_snapshot_of_the_same_changes_nothing(shown: dict[int, tuple[int, int]]):
    screen = Minutes()
    screen.show(push(shown))
    before = (screen.events, screen.micros)
    screen.show(push(shown, "snapshot"))
    assert (screen.events, screen.micros) == before
