"""What a store must answer, by brute force: every minute in a dictionary, every sum in a loop."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from events import sketch
from events.sketch import Entries
from stores.contract import Bits, Counts, Slice, Values
from stores.pane import DIMENSIONS, FINAL, MEASURES, PARTIAL, REVISED, Grouping, Pane

_RANK = {PARTIAL: 1, REVISED: 2, FINAL: 3}

Key = tuple[str, Grouping, Values, int]  # project, grouping, values, minute


class Model:
    """A store of everything that was ever written to it."""

    name = "model"

    def __init__(self) -> None:
        self.rows: dict[Key, tuple[tuple[int, int], list[int], int]] = {}
        self.sketches: dict[Key, Entries] = {}

    def write(self, panes: Sequence[Pane]) -> int:
        """Larger count wins; among equals FINAL, REVISED, PARTIAL. Unions of sketches."""
        for pane in panes:
            parts = sketch.split(pane.sketch, len(pane.series))
            for values, numbers, users in zip(
                pane.series, pane.measures.tolist(), parts, strict=True
            ):
                key = (pane.project, pane.grouping, values, pane.start)
                row = ((numbers[0], _RANK[pane.status]), numbers, pane.status)
                self.rows[key] = max(self.rows.get(key, row), row)
                if len(users):
                    held = self.sketches.get(key, users)
                    self.sketches[key] = sketch.merge([held, users])
        return 0

    def counts(self, ask: Slice) -> Counts:
        """Sums per series and step."""
        found: dict[Values, list[list[int]]] = {}
        for (project, grouping, values, minute), (_, numbers, _) in self.rows.items():
            if not _passes(ask, project, grouping, values, minute):
                continue
            series = _series(ask, values)
            if series not in found:
                found[series] = [[0] * len(MEASURES) for _ in range(ask.steps)]
            step = found[series][_step(ask, minute)]
            for i, number in enumerate(numbers):
                step[i] += number
        shape = (len(found), ask.steps, len(MEASURES))
        return Counts(list(found), np.array(list(found.values()), np.int64).reshape(shape))

    def users(self, ask: Slice) -> dict[tuple[Values, int], Entries]:
        """Unions per series and step."""
        if not ask.has_users:
            raise ValueError("no unions")
        parts: dict[tuple[Values, int], list[Entries]] = defaultdict(list)
        for (project, grouping, values, minute), users in self.sketches.items():
            if _passes(ask, project, grouping, values, minute):
                parts[_series(ask, values), _step(ask, minute)].append(users)
        return {key: sketch.merge(each) for key, each in parts.items()}

    def completeness(self, project: str, edges: Sequence[int]) -> Bits:
        """Statuses of the total's minutes, as bits."""
        ask = Slice(project, (), tuple(edges))
        bits = np.zeros(ask.steps, np.uint8)
        for (of, grouping, values, minute), (_, _, status) in self.rows.items():
            if _passes(ask, of, grouping, values, minute):
                bits[_step(ask, minute)] |= 1 << (status - 1)
        return bits


def _passes(ask: Slice, project: str, grouping: Grouping, values: Values, minute: int) -> bool:
    if (project, grouping) != (ask.project, ask.grouping) or not ask.start <= minute < ask.end:
        return False
    named = dict(zip(grouping, values, strict=True))
    return all(named[dimension] in passing for dimension, passing in ask.where)


def _series(ask: Slice, values: Values) -> Values:
    named = dict(zip(ask.grouping, values, strict=True))
    return tuple(named[dimension] for dimension in DIMENSIONS if dimension in ask.by)


def _step(ask: Slice, minute: int) -> int:
    return next(i for i in range(ask.steps) if ask.edges[i] <= minute < ask.edges[i + 1])
