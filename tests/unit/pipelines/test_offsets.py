import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.offsets import OffsetsTracker, RestrictionCoder

offsets = st.dictionaries(st.integers(0, 31), st.integers(0, 2**62), min_size=1)


@given(offsets, st.none() | offsets)
def test_coder_round_trip(start: dict[int, int], stop: dict[int, int] | None) -> None:
    coder = RestrictionCoder()
    assert coder.decode(coder.encode((start, stop))) == (start, stop)


def test_a_checkpoint_splits_at_what_was_claimed() -> None:
    tracker = OffsetsTracker(({0: 5, 1: 7}, None))
    assert tracker.try_claim({0: 8, 1: 7})
    assert tracker.try_split(0) == (({0: 5, 1: 7}, {0: 8, 1: 7}), ({0: 8, 1: 7}, None))
    tracker.check_done()
    assert not tracker.try_claim({0: 9, 1: 7})
    assert tracker.try_split(0) is None


def test_a_checkpoint_before_any_claim_gives_all_back() -> None:
    tracker = OffsetsTracker(({0: 5}, None))
    split = tracker.try_split(0)
    assert split == (({0: 5}, {0: 5}), ({0: 5}, None))
    tracker.check_done()


def test_the_runner_may_not_split_an_open_range() -> None:
    tracker = OffsetsTracker(({0: 5}, None))
    assert tracker.try_split(0.5) is None
    assert tracker.try_claim({0: 6})


def test_leaving_without_giving_back_is_an_error() -> None:
    tracker = OffsetsTracker(({0: 5}, None))
    tracker.try_claim({0: 6})
    with pytest.raises(ValueError, match="unfinished"):
        tracker.check_done()


def test_claims_do_not_go_back() -> None:
    tracker = OffsetsTracker(({0: 5}, None))
    with pytest.raises(ValueError, match="behind"):
        tracker.try_claim({0: 4})
    assert not tracker.is_bounded()
    assert tracker.current_progress().completed_work == 0
