import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.duplicates import Duplicates

BATCH, EVENT = 7, 8  # odd: a request; even: one event


def _fresh(known: Duplicates, keys: list[int], at: int = 1_000_000) -> list[bool]:
    mask = known.fresh(np.array(keys, np.uint64), at)
    return [True] * len(keys) if mask is None else mask.tolist()


def test_rows_of_one_request_share_a_message() -> None:
    known = Duplicates()
    assert _fresh(known, [BATCH, BATCH, 9]) == [True, True, True]
    assert _fresh(known, [BATCH, 11, BATCH]) == [False, True, False]


def test_an_event_id_counts_once_even_within_a_message() -> None:
    known = Duplicates()
    assert _fresh(known, [EVENT, EVENT, 10, EVENT]) == [True, False, True, False]
    assert _fresh(known, [10, 12]) == [False, True]


def test_no_key_never_repeats() -> None:
    known = Duplicates()
    assert _fresh(known, [0, 0]) == [True, True]
    assert _fresh(known, [0]) == [True]


@pytest.mark.parametrize(("later", "fresh"), [(0, False), (119_999, False), (240_000, True)])
def test_a_key_is_remembered_for_one_to_two_horizons(later: int, fresh: bool) -> None:
    known = Duplicates(horizon_ms=120_000)
    _fresh(known, [BATCH], at=1_200_000)
    assert _fresh(known, [BATCH], at=1_200_000 + later) == [fresh]


def test_memory_is_bounded() -> None:
    known = Duplicates(max_keys=1)
    _fresh(known, [1])
    _fresh(known, [3])
    assert _fresh(known, [1, 3]) == [False, True]


@pytest.mark.parametrize("together", [False, True])
def test_memory_is_full_at_the_same_key_however_messages_are_asked(together: bool) -> None:
    known = Duplicates(max_keys=3)
    for keys in [[2, 9 * 2, 4, 6, 8]] if together else [[2], [18, 4], [6], [8]]:
        _fresh(known, keys)
    assert _fresh(known, [8, 6, 4, 18, 2]) == [True, True, False, False, False]


messages = st.lists(
    st.tuples(st.lists(st.sampled_from([0, 1, 2, 3, 4, 5, 6]), max_size=6), st.integers(0, 40)),
    max_size=25,
)


@given(messages, st.integers(0, 25))
def test_a_reader_that_starts_anywhere_agrees_with_one_that_read_everything(
    log: list[tuple[list[int], int]], start: int
) -> None:
    horizon, now, timed = 50, 0, []
    for keys, step in log:
        now += step
        timed.append((keys, now))
    whole = Duplicates(horizon)
    verdicts = [_fresh(whole, keys, at) for keys, at in timed]
    start = min(start, len(timed))
    if start == len(timed):
        return
    late = Duplicates(horizon)
    since = late.history_start(timed[start][1])
    for keys, at in timed[:start]:
        if at >= since:
            _fresh(late, keys, at)
    assert [_fresh(late, keys, at) for keys, at in timed[start:]] == verdicts[start:]


def _plain(log: list[tuple[list[int], int]], horizon: int) -> list[list[bool]]:
    """The rule, row by row."""
    seen: dict[int, dict[int, int]] = {}  # generation → key → message
    verdicts = []
    for number, (keys, at) in enumerate(log):
        generation = at // horizon
        verdict = []
        for key in keys:
            before = [seen.get(g, {}).get(key) for g in (generation - 1, generation)]
            same = before[1] == number and key % 2 == 1  # rows of one request
            verdict.append(key == 0 or before == [None, None] or (same and before[0] is None))
            seen.setdefault(generation, {}).setdefault(key, number)
        verdicts.append(verdict)
    return verdicts


@given(messages)
def test_the_rule(log: list[tuple[list[int], int]]) -> None:
    known, now, timed = Duplicates(50), 0, []
    for keys, step in log:
        now += step
        timed.append((keys, now))
    assert [_fresh(known, keys, at) for keys, at in timed] == _plain(timed, 50)


@given(st.lists(st.lists(st.integers(0, 6), max_size=6), max_size=8), st.integers(0, 8))
def test_messages_of_a_generation_may_come_together(log: list[list[int]], cut: int) -> None:
    together, alone = Duplicates(), Duplicates()
    verdicts = [_fresh(alone, keys) for keys in log]
    found: list[bool] = []
    for part in (log[:cut], log[cut:]):
        keys = np.array([key for message in part for key in message], np.uint64)
        counts = np.array([len(message) for message in part], np.int64)
        mask = together.fresh(keys, 1_000_000, counts)
        found += [True] * len(keys) if mask is None else mask.tolist()
    assert found == [fresh for verdict in verdicts for fresh in verdict]
