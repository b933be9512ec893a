"""The ledger, looked at once a minute for every project, so that a difference is a metric.

An alert on `streamlens_service_ledger_differences` or `…_ledger_unexplained_events` above 0 says
that something is lost or doubled; `GET /v1/ledger` then says where. A late event is for seconds
counted on one path only, so a difference counts once it has been seen twice, a minute apart.
"""

import logging
import time
from collections.abc import Callable, Iterable
from typing import Final

from serving import ledger
from stores.contract import HOUR, Reader, StoreUnavailable
from stores.pane import MINUTE
from telemetry import metrics

EVERY: Final = 60.0  # seconds
SETTLED: Final = 3 * MINUTE  # seconds; what is younger may still be in flight

_log = logging.getLogger(__name__)


class Audit:
    """The last hour of all projects, again and again."""

    def __init__(
        self,
        book: ledger.Balances,
        hot: Reader,
        events: ledger.MinuteCounter | None,
        projects: Iterable[str],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._book = book
        self._hot = hot
        self._events = events
        self._projects = tuple(projects)
        self._clock = clock
        self._seen: dict[str, frozenset[ledger.Difference]] = {}  # by project, at the last look
        self._standing: dict[str, frozenset[ledger.Difference]] = {}

    def standing(self, project: str) -> frozenset[ledger.Difference]:
        """Of the last look, what the one before had seen too."""
        return self._standing.get(project, frozenset())

    def look(self) -> bool:
        """One audit. False when a store could not be asked: the metrics stay as they were."""
        now = self._clock()
        end = int(now - SETTLED) // MINUTE * MINUTE
        start = end - HOUR
        unexplained = waiting = differences = compared = 0
        try:
            for project in self._projects:
                pages = self._book.balances(project, start, end)
                unexplained += sum(abs(page.unexplained) for page in pages)
                waiting += sum(page.in_flight for page in pages)
                seen = ledger.look(self._hot, self._events, project, start, end, now)
                found = frozenset(ledger.differences(seen))
                standing = found & self._seen.get(project, frozenset())
                self._seen[project], self._standing[project] = found, standing
                differences += len(standing)
                compared += seen.compared
        except StoreUnavailable as error:
            _log.warning("no audit of the ledger: %s", error)
            metrics.SERVICE_AUDITS.inc("unavailable")
            return False
        metrics.SERVICE_AUDITS.inc("done")
        metrics.SERVICE_UNEXPLAINED.set(unexplained)
        metrics.SERVICE_STUCK.set(waiting)
        metrics.SERVICE_DIFFERENCES.set(differences)
        metrics.SERVICE_COMPARED.set(compared)
        if unexplained or differences:
            _log.error("the ledger differs: %d unexplained, %d numbers", unexplained, differences)
        return True

    def run(self, sleep: Callable[[float], None] = time.sleep) -> None:
        """For ever."""
        while True:
            sleep(EVERY)
            self.look()
