"""The rows of one project that one poll gives, gathered until all of them are counted at once."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from transforms.decode import HOT, Mask


class Gathered:
    """Rows of many messages, with which of them are no duplicates and which came too late."""

    def __init__(self) -> None:
        self._rows: list[pa.RecordBatch] = []
        self._fresh: list[Mask | None] = []
        self._late: list[Mask | None] = []

    def add(self, rows: pa.RecordBatch, fresh: Mask | None, late: Mask | None) -> None:
        """The rows of one message. `fresh`: no duplicates (None: all); `late` (None: none)."""
        self._rows.append(rows)
        self._fresh.append(fresh)
        self._late.append(late)

    @property
    def rows(self) -> pa.Table:
        """All rows; nothing is copied."""
        return pa.Table.from_batches(self._rows, schema=HOT)

    @property
    def fresh(self) -> Mask | None:
        """Which rows are no duplicates; None: all."""
        return self._joined(self._fresh, True)

    @property
    def late(self) -> Mask | None:
        """Which rows came too late; None: none."""
        return self._joined(self._late, False)

    def _joined(self, masks: Sequence[Mask | None], otherwise: bool) -> Mask | None:
        if all(mask is None for mask in masks):
            return None
        return np.concatenate(
            [
                np.full(rows.num_rows, otherwise) if mask is None else mask
                for rows, mask in zip(self._rows, masks, strict=True)
            ]
        )


def kept(rows: pa.Table, fresh: Mask | None, late: Mask | None) -> pa.Table:
    """The rows that count: no duplicates and not too late."""
    if late is not None:
        fresh = ~late if fresh is None else fresh & ~late
    return rows if fresh is None else rows.filter(pa.array(fresh))
