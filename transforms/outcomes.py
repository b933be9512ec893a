"""What became of the rows that were read: one small cube per project and minute of receipt.

The ledger's side of the pipeline. Every row that a message held ends as exactly one of OUTCOMES, so
their sum is what was decoded. They are counted in windows like everything else: absolute values,
larger count wins, so the ledger survives what the numbers survive. Pure.
"""

from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stores.ledger import GROUPING, OUTCOMES
from stores.pane import MEASURES, MINUTE
from transforms.aggregate import Partial
from transforms.cube import Cube

COUNTED, BOT, DUPLICATE, TOO_LATE = range(len(OUTCOMES))

Mask = NDArray[np.bool_]
Counts = NDArray[np.int64]  # one per outcome


def tally(rows: pa.RecordBatch, fresh: Mask | None, late: Mask | None) -> dict[int, Counts]:
    """The outcomes of the rows of one message, by the minute (epoch seconds) of their receipt.

    `fresh` says which rows are no duplicates (None: all), `late` which came too late (None: none).
    A row that is both a duplicate and late is a duplicate.
    """
    if not rows.num_rows:
        return {}
    code = np.where(rows.column("bot").to_numpy(zero_copy_only=False), BOT, COUNTED)
    if late is not None:
        code[late] = TOO_LATE
    if fresh is not None:
        code[~fresh] = DUPLICATE
    minutes, place = np.unique(
        rows.column("received_at").to_numpy() // (MINUTE * 1000), return_inverse=True
    )
    width = len(OUTCOMES)
    table = np.bincount(place * width + code, minlength=len(minutes) * width).reshape(-1, width)
    return dict(zip((minutes * MINUTE).tolist(), table.astype(np.int64), strict=True))


def outcomes(counts: Mapping[int, Counts]) -> Iterator[Partial]:
    """A cube for each minute, with the outcomes that occurred."""
    for minute, row in counts.items():
        held = np.flatnonzero(row)
        measures = np.zeros((len(held), len(MEASURES)), np.int64)
        measures[:, 0] = row[held]
        yield Partial(GROUPING, minute, Cube([OUTCOMES[i] for i in held.tolist()], measures))
