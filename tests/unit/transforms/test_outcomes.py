"""What became of rows: every row is one outcome, in the minute of its receipt."""

from collections import Counter

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from stores.ledger import GROUPING, OUTCOMES
from transforms.outcomes import outcomes, tally

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
    parts = list(outcomes(tally(batch, fresh, late)))
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
