"""A part of a benchmark in a process of its own, talked to through a pipe."""

from collections.abc import Callable
from multiprocessing import get_context
from typing import Any, Self


class Piped:
    """Runs `main(*arguments, pipe)`, whose first word says that it is ready; killed at the end.

    A text that it sends is why it failed.
    """

    def __init__(
        self, name: str, ready_within: float, main: Callable[..., None], *arguments: Any
    ) -> None:
        context = get_context("spawn")
        self._name = name
        self._ready_within = ready_within
        self._pipe, self._theirs = context.Pipe()
        self._process = context.Process(target=main, args=(*arguments, self._theirs), daemon=True)

    def __enter__(self) -> Self:
        self._process.start()
        self._theirs.close()  # so that its death is seen here
        try:
            self._reply(self._ready_within)
        except BaseException:
            self._process.kill()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.join()

    def pids(self) -> list[int]:
        """Its process."""
        return [] if self._process.pid is None else [self._process.pid]

    def _reply(self, within: float | None = None) -> Any:
        """Its next word, within so many seconds (None: ever). Raises RuntimeError."""
        if not self._pipe.poll(within):
            raise RuntimeError(f"{self._name}: no word within {within:.0f} s")
        try:
            found = self._pipe.recv()
        except EOFError:
            raise RuntimeError(f"{self._name}: died") from None
        if isinstance(found, str):
            raise RuntimeError(f"{self._name}: {found}")
        return found
