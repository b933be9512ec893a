"""What became of the rows that were read: one small cube per project and minute of receipt.

The ledger's side of the pipeline. Every row that was decoded ends as exactly one of OUTCOMES, so
their sum is what was decoded; rows of dead letters are counted beside them, by reason. They are
counted in windows like everything else: absolute values, larger count wins, so the ledger survives
what the numbers survive. Pure.
"""

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from events import plausible
from stores.ledger import DEAD, GROUPING, OUTCOMES
from stores.pane import MEASURES, MINUTE
from transforms.aggregate import Partial, group
from transforms.cube import Cube
from transforms.decode import DeadLetter

COUNTED, BOT, DUPLICATE, TOO_LATE = range(len(OUTCOMES))
_DEAD_NAMES: Final = {reason: name for name, reason in DEAD.items()}

Mask = NDArray[np.bool_]
Counts = NDArray[np.int64]  # one per outcome
Death = tuple[str, int, str]  # project, minute of receipt (epoch seconds), reason


def tally(rows: pa.Table, fresh: Mask | None, late: Mask | None) -> dict[int, Counts]:
    """The outcomes of rows, by the minute (epoch seconds) of their receipt.

    `fresh` says which rows are no duplicates (None: all), `late` which came too late (None: none).
    A row that is both a duplicate and late is a duplicate.
    """
    if not rows.num_rows:
        return {}
    minute = rows.column("received_at").to_numpy() // (MINUTE * 1000)
    first, place = group(minute)
    bot = rows.column("bot").combine_chunks().to_numpy(zero_copy_only=False)
    code = np.where(bot, BOT, COUNTED)
    if late is not None:
        code[late] = TOO_LATE
    if fresh is not None:
        code[~fresh] = DUPLICATE
    width = len(OUTCOMES)
    table = np.bincount(place * width + code, minlength=len(first) * width).reshape(-1, width)
    starts = (minute[first] * MINUTE).tolist()
    return dict(zip(starts, table.astype(np.int64), strict=True))


def outcomes(counts: Mapping[int, Counts]) -> Iterator[Partial]:
    """A cube for each minute, with the outcomes that occurred."""
    for minute, row in counts.items():
        held = np.flatnonzero(row).tolist()
        yield _part(minute, {OUTCOMES[i]: int(row[i]) for i in held})


def death(letter: DeadLetter) -> Death | None:
    """Where a letter's rows are counted: the minute in which its message came.

    None when it names no project, or its message has no time.
    """
    project = letter.project
    if project is None or letter.broker_ms <= 0 or not plausible.is_project(project):
        return None
    return project, letter.broker_ms // 1000 // MINUTE * MINUTE, letter.reason


def deaths(rows: Mapping[Death, int]) -> Iterator[tuple[str, Partial]]:
    """By project, a cube for each minute, with the reasons that occurred."""
    found: dict[tuple[str, int], dict[str, int]] = {}
    for (project, minute, reason), count in rows.items():
        found.setdefault((project, minute), {})[_DEAD_NAMES[reason]] = count
    for (project, minute), counts in found.items():
        yield project, _part(minute, counts)


def _part(minute: int, counts: Mapping[str, int]) -> Partial:
    measures = np.zeros((len(counts), len(MEASURES)), np.int64)
    measures[:, 0] = list(counts.values())
    return Partial(GROUPING, minute, Cube(list(counts), measures))
