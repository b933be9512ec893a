"""What became of rows: every row is one outcome, in the minute of its receipt."""

from collections import Counter

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from stores.ledger import DEAD, GROUPING, OUTCOMES
from transforms.decode import Message, decode
from transforms.outcomes import death, deaths, outcomes, tally

MINUTE = 1_700_000_040


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.booleans(), st.booleans(), st.booleans()), max_size=30
    ),
    st.booleans(),
)
def test_every_row_is_exactly_one_outcome(
    rows: list[tuple[int, bool, bool, bool]], masks: bool
) -> None:
    batch = pa.RecordBatch.from_pydict(
        {
            "received_at": pa.array([(MINUTE + 60 * m) * 1000 + 7 for m, *_ in rows], pa.int64()),
            "bot": pa.array([bot for _, bot, _, _ in rows], pa.bool_()),
        }
    )
    fresh = np.array([not d for _, _, d, _ in rows], np.bool_) if masks else None
    late = np.array([late for _, _, _, late in rows], np.bool_) if masks else None
    expected = Counter(
        (
            MINUTE + 60 * minute,
            "duplicate"
            if masks and d
            else "too_late"
            if masks and old
            else "bot"
            if bot
            else "counted",
        )
        for minute, bot, d, old in rows
    )
    parts = list(outcomes(tally(pa.Table.from_batches([batch]), fresh, late)))
    found = Counter(
        {
            (part.start, name): int(part.cube.measures[i, 0])
            for part in parts
            for i, name in enumerate(part.cube.names)
        }
    )
    assert found == expected
    assert all(part.grouping == GROUPING for part in parts)
    assert {name for _, name in found} <= set(OUTCOMES)


def test_a_message_that_cannot_be_decoded_counts_for_the_rows_that_it_says_it_holds() -> None:
    message = Message(b"\x00", project="p", broker_ms=MINUTE * 1000 + 5, stated_rows=7)
    (letter,) = decode(message).dead
    assert death(letter) == ("p", MINUTE, "message_undecodable")
    assert letter.rows == 7
    ((project, part),) = deaths({("p", MINUTE, letter.reason): letter.rows})
    assert (project, part.grouping, part.start) == ("p", GROUPING, MINUTE)
    (name,) = part.cube.names
    assert (DEAD[name], part.cube.measures[:, 0].tolist()) == ("message_undecodable", [7])


def test_letters_of_nobody_and_of_no_time_are_in_no_ledger() -> None:
    for message in (
        Message(b"\x00", broker_ms=MINUTE * 1000),
        Message(b"\x00", project="No Project", broker_ms=MINUTE * 1000),
        Message(b"\x00", project="p"),
    ):
        (letter,) = decode(message).dead
        assert death(letter) is None
