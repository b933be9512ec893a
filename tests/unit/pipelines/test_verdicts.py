"""What becomes of a letter, without a broker."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events import letters
from pipelines import verdicts
from pipelines.recount import Wanted
from pipelines.verdicts import BAD, COUNTED, GONE, LATE, OLD, OPEN, Bounds, Case, Choice
from tests.unit.pipelines.lines import MINUTE, NOW, line, message
from transforms.decode import Message, decode

CLOSED = Bounds(log_ms=0, kept_ms=0, counted_ms=NOW + 10_000_000, lateness_ms=600_000)


def judged(
    held: Message, row: int | None, rows: int = 1, bounds: Bounds = CLOSED
) -> tuple[str, Wanted]:
    case = Case("event_malformed", row, rows)
    wanted = verdicts.judge(case, held, decode(held), bounds)
    return case.outcome, wanted


def test_a_line_that_is_good_now_wants_its_minute_and_that_of_its_receipt() -> None:
    outcome, wanted = judged(message(line(), line(NOW - 60_000, "q")), 1)
    assert outcome == COUNTED
    assert wanted == Wanted({("q", MINUTE - 60)}, {("q", MINUTE)}, {(3, 7)})


def test_a_whole_message_wants_all_its_minutes() -> None:
    _, wanted = judged(message(line(), line(NOW - 60_000, "q")), None)
    assert wanted.minutes == {("p", MINUTE), ("q", MINUTE - 60)}


@pytest.mark.parametrize(
    ("row", "rows", "outcome"),
    [
        (0, 1, COUNTED),
        (1, 1, BAD),
        (2, 1, COUNTED),
        (0, 9, BAD),
        (2, 9, COUNTED),
        (None, 1, COUNTED),
    ],
)
def test_neighbours_do_not_matter(row: int | None, rows: int, outcome: str) -> None:
    assert judged(message(line(), b"{bad", line()), row, rows)[0] == outcome


def test_what_is_still_bad_wants_nothing() -> None:
    assert judged(message(b"\x00"), None) == (BAD, Wanted())


@pytest.mark.parametrize(
    ("bounds", "outcome"),
    [
        (Bounds(0, 0, NOW + 60_000 + 600_000 + verdicts.MARGIN_MS - 1, 600_000), OPEN),
        (Bounds(0, 0, NOW + 60_000 + 600_000 + verdicts.MARGIN_MS, 600_000), COUNTED),
        (Bounds(0, 0, 0, 600_000), OPEN),  # no job runs
        (Bounds(NOW - 119_999, 0, 1 << 60, 600_000), OLD),  # part of the log is gone
        (Bounds(NOW - 120_000, 0, 1 << 60, 600_000), COUNTED),
        (Bounds(0, NOW + 1, 1 << 60, 600_000), OLD),  # no store keeps it
    ],
)  # fmt: skip
def test_only_closed_minutes_with_all_their_log_and_a_store_are_counted(
    bounds: Bounds, outcome: str
) -> None:
    assert judged(message(line()), 0, bounds=bounds)[0] == outcome


def test_what_came_too_late_goes_to_the_ledger_only() -> None:
    late = message(line(), broker_ms=NOW + 60_000 + 600_000 + 10_000)
    outcome, wanted = judged(late, 0)
    assert outcome == LATE
    assert (wanted.minutes, wanted.receipts) == (set(), {("p", MINUTE + 660)})


def _letters(*held: Message) -> list[Message]:
    return [
        Message(letters.encode(dead.letter(NOW)), topic="dead", offset=i)
        for i, dead in enumerate(dead for each in held for dead in decode(each).dead)
    ]


@given(st.lists(st.integers(0, 3), max_size=20))
def test_however_often_a_letter_stands_there_it_is_one(order: list[int]) -> None:
    one = _letters(message(b"{bad", b"{too"), message(b"\x00", offset=8), message(b"", offset=9))
    found, strange = verdicts.gather([*one, *(one[i] for i in order)], "events", Choice())
    assert {place: sorted(rows, key=str) for place, rows in found.items()} == {
        (3, 7): [0, 1],
        (3, 8): [None],
        (3, 9): [None],
    }
    assert all(case.outcome == GONE for rows in found.values() for case in rows.values())
    assert strange == 0


@pytest.mark.parametrize(
    ("choice", "left"),
    [
        (Choice(reason="message_empty"), {9}),
        (Choice(partition=4), set()),
        (Choice(since_ms=NOW + 5_001), set()),
        (Choice(until_ms=NOW + 5_000), set()),
        (Choice(project="q"), {8}),
    ],
)
def test_letters_are_chosen(choice: Choice, left: set[int]) -> None:
    given_ = _letters(message(b"\x00", offset=8)._replace(project="q"), message(b"", offset=9))
    found, _ = verdicts.gather(given_, "events", choice)
    assert {offset for _, offset in found} == left


def test_what_is_no_letter_is_said() -> None:
    other = Message(b"\x00old form")
    assert verdicts.gather([other], "events", Choice()) == ({}, 1)
    assert verdicts.gather(_letters(message(b"")), "another", Choice()) == ({}, 0)
