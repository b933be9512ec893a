"""What the stores should hold, counted one event at a time from the sender's record."""

from collections import defaultdict
from collections.abc import Container, Iterable

import numpy as np
from numpy.typing import NDArray

from events import sketch
from stores.contract import Ints, Values
from stores.pane import DIMENSIONS, MEASURES, MINUTE, Grouping
from tests.chaos.batches import Sent

_KINDS = {"page_view": 1, "click": 2, "purchase": 3, "error": 4}
_BOTS = MEASURES.index("bots")
_REVENUE = MEASURES.index("revenue_micros")


class Truth:
    """Absolute numbers: minute → measures, by grouping set and values; users by minute."""

    def __init__(self, events: Iterable[Sent]) -> None:
        finest: dict[tuple[Values, int], list[int]] = {}
        hashes: dict[str, int] = {}
        users: dict[tuple[Values, int], set[int]] = defaultdict(set)
        for event in events:
            row = finest.setdefault((event.values, event.minute), [0] * len(MEASURES))
            row[0] += 1
            if event.bot:
                row[_BOTS] += 1
                continue
            if event.type in _KINDS:
                row[_KINDS[event.type]] += 1
            row[_REVENUE] += event.revenue
            if event.user not in hashes:
                hashes[event.user] = sketch.user_hash(event.user)
            users[event.values, event.minute].add(hashes[event.user])
        self._finest = finest
        self._users = users

    @property
    def minutes(self) -> list[int]:
        """Those with events, ascending."""
        return sorted({minute for _, minute in self._finest})

    def series(self, grouping: Grouping, start: int, end: int) -> dict[Values, Ints]:
        """`MEASURES` of each minute: [minutes, 7] by values, where there is anything."""
        places = [DIMENSIONS.index(name) for name in grouping]
        found: dict[Values, Ints] = {}
        steps = (end - start) // MINUTE
        for (values, minute), row in self._finest.items():
            if not start <= minute < end:
                continue
            name = tuple(values[place] for place in places)
            if name not in found:
                found[name] = np.zeros((steps, len(MEASURES)), np.int64)
            found[name][(minute - start) // MINUTE] += row
        return found

    def users(
        self, grouping: Grouping, step: int, minutes: Container[int]
    ) -> dict[tuple[Values, int], NDArray[np.uint8]]:
        """The registers of users by values and step (its start), of these minutes. No bots."""
        places = [DIMENSIONS.index(name) for name in grouping]
        united: dict[tuple[Values, int], set[int]] = defaultdict(set)
        for (values, minute), hashes in self._users.items():
            if minute in minutes:
                name = tuple(values[place] for place in places)
                united[name, minute // step * step] |= hashes
        return {
            key: sketch.registers(sketch.from_hashes(np.array(sorted(hashes), np.uint64)))
            for key, hashes in united.items()
        }
