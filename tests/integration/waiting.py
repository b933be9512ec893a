"""Waiting on conditions, with a deadline."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_for(what: str | Callable[[], str], look: Callable[[], T | None], seconds: float) -> T:
    """The first true value that `look` gives. Raises AssertionError after `seconds`.

    `what` is missing, or says so when asked.
    """
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        name = what if isinstance(what, str) else what()
        assert time.monotonic() < deadline, f"no {name} within {seconds:.0f} s"
        time.sleep(0.2)
