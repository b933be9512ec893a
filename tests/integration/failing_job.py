"""`pipelines.main` with one fault: a write that fails once, after some checkpoints."""

import os
import sys
from typing import Any

from pipelines import sinks
from pipelines.main import main

FAULT = "a write fails, as the test wants"


class _Once:
    """Fails when the file that the test names appears, and removes it."""

    def __init__(self, write: Any, trigger: str) -> None:
        self._write = write
        self._trigger = trigger

    def __call__(self, dofn: Any) -> None:
        try:
            os.remove(self._trigger)
        except FileNotFoundError:
            self._write(dofn)
        else:
            raise RuntimeError(FAULT)


if __name__ == "__main__":
    once = _Once(sinks.WriteHot.finish_bundle, os.environ["FAULT_WHEN_THERE"])
    sinks.WriteHot.finish_bundle = lambda self: once(self)  # type: ignore[method-assign]
    sys.exit(main())
