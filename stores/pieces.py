"""Which rollup answers which part of a question: minutes, hours and days of UTC."""

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

import numpy as np

from stores.contract import DAY, HOUR
from stores.pane import MINUTE

Unit = Literal["1m", "1h", "1d"]
SECONDS: Final[dict[Unit, int]] = {"1m": MINUTE, "1h": HOUR, "1d": DAY}
SETTLES: Final = 2 * HOUR  # hours and days follow their minutes within this


class Piece(NamedTuple):
    """Whole buckets of one rollup: `start <= t < end`, epoch seconds."""

    unit: Unit
    start: int
    end: int


def settled(now: float) -> int:
    """Hours and days that end by then may be read; what is later, from minutes."""
    return (int(now) - SETTLES) // HOUR * HOUR


def pieces(edges: Sequence[int], until: int) -> list[Piece]:
    """The coarsest buckets that make up the steps between `edges`, in order, without gaps.

    No bucket lies in two steps, so a step of whole hours is read from hours, one that begins at
    half past (as days of India do) from 30 minutes, 23 hours and 30 minutes. Nothing coarser than
    minutes reaches beyond `until`.
    """
    if int(np.diff(np.array(edges)).max(initial=0)) < HOUR:
        return _joined([Piece("1m", edges[0], edges[-1])])
    found = []
    for i in range(len(edges) - 1):
        start, end = edges[i], edges[i + 1]
        first, last = -(-start // HOUR) * HOUR, min(end, until) // HOUR * HOUR
        if first >= last:
            found.append(Piece("1m", start, end))
            continue
        found.append(Piece("1m", start, first))
        day, last_day = -(-first // DAY) * DAY, last // DAY * DAY
        if day < last_day:
            found.append(Piece("1h", first, day))
            found.append(Piece("1d", day, last_day))
            found.append(Piece("1h", last_day, last))
        else:
            found.append(Piece("1h", first, last))
        found.append(Piece("1m", last, end))
    return _joined(found)


def _joined(found: Sequence[Piece]) -> list[Piece]:
    """Without empty pieces, neighbours of one unit as one."""
    joined: list[Piece] = []
    for piece in found:
        if piece.start >= piece.end:
            continue
        if joined and joined[-1].unit == piece.unit:
            joined[-1] = joined[-1]._replace(end=piece.end)
        else:
            joined.append(piece)
    return joined
