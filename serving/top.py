"""The top values of dimensions in the last hour, of one project and filter, for live feeds.

Counted and ranked as `/v1/breakdown` does, but of the hot store alone, as all live numbers are: a
history that does not answer must not hold up a feed.
"""

import logging
from collections.abc import Collection
from typing import Any, Final

from serving import breakdown
from serving.projects import Project
from serving.query import Query
from serving.seam import HotSource, Unanswered, of_hot
from serving.shape import SHOWN
from stores.contract import HOUR
from stores.pane import DIMENSIONS, MINUTE

_log = logging.getLogger(__name__)

EVERY: Final = 10.0  # seconds from one read of a dimension to the next
SPAN: Final = HOUR  # with the minute in progress
LIMIT: Final = 10  # values; the rest is `other`
COLUMNS: Final = ("values", *SHOWN, "share")


class Top:
    """What was read last of each dimension, and what of it changed then."""

    def __init__(
        self, hot: HotSource, project: Project, filters: tuple[tuple[str, str], ...]
    ) -> None:
        self._hot = hot
        self._project = project
        self._filters = tuple((name, (value,)) for name, value in filters)
        self._read: dict[str, float] = {}  # when, by dimension
        self._known: dict[str, dict[str, Any]] = {}
        self._changed: frozenset[str] = frozenset()

    def read(self, now: float, wanted: Collection[str]) -> None:
        """Read the dimensions whose time has come. What the store does not answer stays as it was,
        and is asked for again at the next read.
        """
        changed = set()
        for name in DIMENSIONS:
            # A clock that was set back is no reason to wait.
            if name not in wanted or 0 <= now - self._read.get(name, float("-inf")) < EVERY:
                continue
            try:
                found = self._ranked(name, now)
            except Unanswered as error:
                _log.warning("live feed: no top of %s: %s", name, error.__cause__)
                continue
            self._read[name] = now
            if found != self._known.get(name):
                self._known[name] = found
                changed.add(name)
        self._changed = frozenset(changed)

    def known(self, names: Collection[str]) -> dict[str, Any]:
        """Columns over the values of each of these dimensions, as far as they were ever read."""
        return {name: self._known[name] for name in names if name in self._known}

    def changed(self, names: Collection[str]) -> dict[str, Any]:
        """Of these dimensions those that the last read changed."""
        return self.known([name for name in names if name in self._changed])

    def _ranked(self, dimension: str, now: float) -> dict[str, Any]:
        end = int(now) // MINUTE * MINUTE + MINUTE
        asked = Query(
            edges=(end - SPAN, end),
            granularity="total",
            timezone="UTC",
            metrics=SHOWN,
            filters=self._filters,
            dimensions=(dimension,),
            by_type=False,
            limit=LIMIT,
            order="events",
            ascending=False,
            compare=None,
        )
        reply = of_hot(
            self._hot,
            lambda reading: breakdown.answer(self._project, dimension, asked, now, reading),
        )
        # Of no values there are no other columns.
        return {name: reply[name] for name in ("start", "end")} | {
            name: reply.get(name, []) for name in COLUMNS
        }
