"""The restriction of a Kafka reader: one next offset per partition it reads.

One element per reader, not per partition: a bundle then gathers messages of several partitions,
and self-checkpoints (each a state and a timer) are a few per second whatever the number of
partitions. The tracker refuses splits by the runner: an open range would be split at 4.6e18.
"""

import json
from collections.abc import Mapping
from typing import Any

from apache_beam.coders import Coder
from apache_beam.io.iobase import RestrictionProgress, RestrictionTracker

Offsets = dict[int, int]  # partition -> next offset to read
Restriction = tuple[Offsets, Offsets | None]  # from, up to (None: for ever)


class RestrictionCoder(Coder):
    """Restrictions as JSON, readable in a savepoint."""

    def encode(self, value: Restriction) -> bytes:
        """JSON: [from, to]."""
        return json.dumps(value, sort_keys=True).encode()

    def decode(self, encoded: bytes) -> Restriction:
        """The restriction of those bytes."""
        start, stop = json.loads(encoded)
        return _offsets(start), None if stop is None else _offsets(stop)

    def is_deterministic(self) -> bool:
        """Keys are sorted."""
        return True


class OffsetsTracker(RestrictionTracker):
    """Claims whole polls: the next offsets of all partitions at once."""

    def __init__(self, restriction: Restriction) -> None:
        self._start, self._stop = restriction
        self._claimed: Offsets = dict(self._start)

    def current_restriction(self) -> Restriction:
        """What this tracker covers."""
        return self._start, self._stop

    def current_progress(self) -> RestrictionProgress:
        """Messages claimed; one more always remains."""
        done = sum(self._claimed[p] - self._start[p] for p in self._start)
        return RestrictionProgress(completed=float(done), remaining=1.0)

    def try_claim(self, position: Mapping[int, int]) -> bool:
        """Claim everything before `position`. False once the rest was given away."""
        if self._stop is not None:
            return False
        if any(position[p] < self._claimed[p] for p in self._claimed):
            raise ValueError(f"a claim of {position} behind {self._claimed}")
        self._claimed = dict(position)
        return True

    def try_split(self, fraction_of_remainder: float) -> tuple[Restriction, Restriction] | None:
        """Only a checkpoint (fraction 0) is granted: the rest is everything unclaimed."""
        if fraction_of_remainder != 0 or self._stop is not None:
            return None
        self._stop = dict(self._claimed)
        return (self._start, self._stop), (dict(self._claimed), None)

    def check_done(self) -> None:
        """Raises ValueError when the reader stopped without giving the rest back."""
        if self._stop is None or self._stop != self._claimed:
            raise ValueError("the reader left its restriction unfinished")

    def is_bounded(self) -> bool:
        """A topic has no end."""
        return False


def _offsets(value: Mapping[str, Any]) -> Offsets:
    return {int(partition): int(offset) for partition, offset in value.items()}
