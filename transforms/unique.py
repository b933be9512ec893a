"""Distinct counts by HyperLogLog: a CombineFn in the manner of Beam's `ApproximateUnique`.

Beam's own `stats.ApproximateUnique` keeps a sample of the k smallest hashes, which cannot be
unioned with what a store holds. This one has the registers of Redis (`events.sketch`), so its
accumulator is at once the value of a Redis key and of ClickHouse's state. Standard error 0.81 %.
"""

from collections.abc import Iterable
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam.coders import BytesCoder, Coder

from events import sketch


class EntriesCoder(Coder):
    """Sketch entries as their little-endian bytes."""

    def __init__(self) -> None:
        self._bytes = BytesCoder()

    def encode(self, value: sketch.Entries) -> bytes:
        """The array's bytes."""
        return value.tobytes()

    def decode(self, encoded: bytes) -> sketch.Entries:
        """The array of those bytes."""
        return np.frombuffer(encoded, np.uint32)

    def is_deterministic(self) -> bool:
        """Entries are sorted and distinct: equal sketches have equal bytes."""
        return True


class HyperLogLogFn(beam.CombineFn):
    """Combines user ids (str) into a sketch; the output is `sketch.Entries` of series 0."""

    def create_accumulator(self) -> sketch.Entries:
        """No users."""
        return np.empty(0, np.uint32)

    def add_input(self, accumulator: sketch.Entries, element: str) -> sketch.Entries:
        """One more user id."""
        return self.add_inputs(accumulator, (element,))

    def add_inputs(self, accumulator: sketch.Entries, elements: Iterable[str]) -> sketch.Entries:
        """Several user ids at once."""
        hashes = np.fromiter((sketch.user_hash(user) for user in elements), np.uint64)
        return sketch.merge((accumulator, sketch.from_hashes(hashes)))

    def merge_accumulators(self, accumulators: Iterable[sketch.Entries]) -> sketch.Entries:
        """The union."""
        return sketch.merge(accumulators)

    def extract_output(self, accumulator: sketch.Entries) -> sketch.Entries:
        """The sketch; `sketch.estimate` makes it a number."""
        return accumulator

    def get_accumulator_coder(self) -> Any:
        """Never pickle."""
        return EntriesCoder()


class ApproximateUnique(beam.PTransform):
    """`(key, user_id)` to `(key, estimated number of distinct users)`, per window."""

    def expand(self, pcoll: Any) -> Any:
        """Combine per key, then estimate."""
        return (
            pcoll
            | "Sketch" >> beam.CombinePerKey(HyperLogLogFn())  # (key, entries)
            | "Estimate" >> beam.MapTuple(lambda key, entries: (key, sketch.estimate(entries)))
        )
