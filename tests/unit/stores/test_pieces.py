from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from stores.contract import DAY, HOUR, edges
from stores.pane import MINUTE
from stores.pieces import SECONDS, Piece, pieces, settled

T0 = 1_700_006_400  # a midnight


@st.composite
def questions(draw: st.DrawFn) -> tuple[tuple[int, ...], int]:
    start = T0 + draw(st.integers(0, 3 * 1440)) * MINUTE
    end = start + draw(st.integers(1, 5 * 1440)) * MINUTE
    step = draw(st.sampled_from((0, 5 * MINUTE, 90 * MINUTE, HOUR, 6 * HOUR, DAY)))
    zone = draw(st.sampled_from(("UTC", "Europe/Berlin", "Asia/Kolkata", "America/St_Johns")))
    inside = edges(start, end, step, zone)
    if draw(st.booleans()):  # any steps at all
        inside = tuple(sorted({start, end, *(t for t in inside if t % 7 == 0)}))
    return inside, draw(st.integers(T0 // HOUR, (end + DAY) // HOUR)) * HOUR


@given(questions())
def test_pieces_tile_the_range_with_buckets_of_one_step(ask: tuple[tuple[int, ...], int]) -> None:
    steps, until = ask
    found = pieces(steps, until)
    assert found[0].start == steps[0]
    assert found[-1].end == steps[-1]
    for piece, following in pairwise(found):
        assert piece.end == following.start
        assert piece.unit != following.unit
    for unit, start, end in found:
        width = SECONDS[unit]
        assert start < end
        assert start % width == end % width == 0
        if unit != "1m":
            assert end <= until
            assert not any(start < edge < end and edge % width for edge in steps)


@given(questions())
def test_no_bucket_could_have_been_coarser(ask: tuple[tuple[int, ...], int]) -> None:
    steps, until = ask
    found = pieces(steps, until)
    for unit, coarser in (("1m", HOUR), ("1h", DAY)):
        for piece in found:
            if piece.unit != unit:
                continue
            for start in range(-(-piece.start // coarser) * coarser, piece.end, coarser):
                whole = start + coarser <= min(piece.end, until)
                assert not whole or any(start < edge < start + coarser for edge in steps)


def test_thirty_days_by_hour_until_now() -> None:
    now = T0 + 30 * DAY + 9 * HOUR + 34 * MINUTE
    start = now - 30 * DAY
    assert pieces(edges(start, now, HOUR), settled(now)) == [
        Piece("1m", start, T0 + 10 * HOUR),
        Piece("1h", T0 + 10 * HOUR, T0 + 30 * DAY + 7 * HOUR),
        Piece("1m", T0 + 30 * DAY + 7 * HOUR, now),
    ]


def test_a_day_of_minutes_is_one_piece() -> None:
    steps = edges(T0, T0 + DAY, MINUTE)
    assert pieces(steps, T0 + 9 * DAY) == [Piece("1m", T0, T0 + DAY)]


def test_the_whole_range_is_five_pieces() -> None:
    found = pieces((T0 - 90 * MINUTE, T0 + 2 * DAY + 90 * MINUTE), T0 + 9 * DAY)
    assert [piece.unit for piece in found] == ["1m", "1h", "1d", "1h", "1m"]
