"""Cubes and rows for tests, and hypothesis strategies for them."""

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from events import columns, sketch
from events.sketches import from_entries
from stores.pane import MEASURES
from transforms import decode
from transforms.cube import Cube

MINUTE = 1_700_000_040  # a whole minute


def record(**fields: object) -> decode.Record:
    """A record with defaults for everything."""
    given = {"type": "page_view", "user_id": "u1", "ts": MINUTE * 1000, **fields}
    return decode.Record(**given)  # type: ignore[arg-type]


def rows(*records: decode.Record) -> pa.Table:
    """Hot rows of these records, project p."""
    return pa.Table.from_batches([columns.rows("p", columns.Fields.of(records), decode.HOT)])


def cube(**series: int) -> Cube:
    """A cube with these series, each with so many page views of user ids that are its name."""
    names = list(series)
    measures = np.zeros((len(names), len(MEASURES)), np.int64)
    measures[:, 0] = measures[:, 1] = list(series.values())
    hashes = np.array([sketch.user_hash(name) for name in names], np.uint64)
    return Cube(
        names, measures, from_entries(sketch.from_hashes(hashes, np.arange(len(names))), len(names))
    )


def _row(custom: int, kinds: list[int], revenue: int) -> list[int]:
    """Every row is of one kind, and only purchases bring revenue: equal rows are equal numbers."""
    return [custom + sum(kinds), *kinds, revenue if kinds[2] else 0]


_measures = st.builds(
    _row,
    st.integers(0, 100),
    st.lists(st.integers(0, 1000), min_size=5, max_size=5),
    st.integers(0, 10**9),
)


@st.composite
def cubes(draw: st.DrawFn) -> Cube:
    """Any small cube."""
    names = draw(st.lists(st.sampled_from([f"s{i}" for i in range(12)]), unique=True))
    measures = np.array([draw(_measures) for _ in names], np.int64).reshape(-1, len(MEASURES))
    users = draw(st.lists(st.integers(0, 2**64 - 1), max_size=20)) if names else []
    series = [draw(st.integers(0, len(names) - 1)) for _ in users]
    entries = sketch.from_hashes(np.array(users, np.uint64), np.array(series, np.int64))
    return Cube(names, measures, from_entries(entries, len(names)))
