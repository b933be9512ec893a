"""Waiting for a store that is away for a while, at the end of a bundle."""

import logging
import time
from collections.abc import Callable

MAX_PAUSE = 5.0  # seconds between two tries

_log = logging.getLogger(__name__)


def patiently(
    what: str,
    write: Callable[[], None],
    passing: tuple[type[Exception], ...],
    *,
    seconds: float,
    pause: float,
) -> None:
    """Write, again with growing pauses while it raises one of `passing`.

    `pause` is the first, in seconds. Raises what `write` raised last when `seconds` are over.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            write()
            return
        except passing as error:
            if time.monotonic() + pause > deadline:
                raise
            _log.warning("%s: %s; again in %.1f s", what, error, pause)
        time.sleep(pause)
        pause = min(MAX_PAUSE, pause * 2)
