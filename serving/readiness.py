"""Whether the service can do its work: it needs the hot store; without history it is less."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Final, Literal

from stores.contract import Reader, StoreUnavailable
from stores.pane import MINUTE
from telemetry import logs

KEEP: Final = 5.0  # seconds for which an answer of history holds
PATIENCE: Final = 1.0  # seconds to wait for it; later it is down, and told at the next question

State = Literal["up", "down", "none", "unknown"]

_log = logging.getLogger(__name__)


class History:
    """What is known of the cold store, asked seldom and never waited for long.

    BigQuery bills every question, so it is not asked: its state is unknown here, and the metrics
    tell which questions of users failed.
    """

    def __init__(self, store: Reader | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._asking: threading.Thread | None = None
        self._asked = float("-inf")
        self._state: State = "down"

    def state(self) -> State:
        """Of at most KEEP seconds ago."""
        store = self._store
        if store is None:
            return "none"
        if store.name == "bigquery":
            return "unknown"
        with self._lock:
            asking = self._asking
            if asking is None and self._clock() - self._asked >= KEEP:
                asking = threading.Thread(target=self._ask, args=(store,), daemon=True)
                self._asking = asking
                asking.start()
        if asking is not None:
            asking.join(PATIENCE)
            if asking.is_alive():
                return "down"
        return self._state

    def _ask(self, store: Reader) -> None:
        state: State = "down"
        try:
            store.completeness("", (0, MINUTE))
            state = "up"
        except StoreUnavailable as error:
            _log.warning("history is down: %s", error)
        except Exception as error:  # such as a schema that is not there: no use either
            logs.failed(_log, "history is down", error)
        finally:
            with self._lock:
                self._state, self._asked, self._asking = state, self._clock(), None
