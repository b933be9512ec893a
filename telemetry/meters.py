"""Kinds of metrics, over `prometheus_client`: a name is declared once, with its labels' values.

The values that a label may take are part of the declaration, so nothing that a client or a project
sends can make new time series: what is not listed is counted as `other`. A metric is a global of
its process, safe for threads and greenlets; one increment costs about half a microsecond
(`benchmarks.telemetry`), so hot paths count once per request, poll or bundle, never per event.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, NamedTuple, TypeVar

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.metrics import MetricWrapperBase

OTHER: Final = "other"
# Seconds: from a read of the hot store to a query that is about to be cut off.
SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

Value = str | int
_Kind = TypeVar("_Kind", bound=MetricWrapperBase)


class Label(NamedTuple):
    """A label and all values it can have; any other value becomes `other`.

    `said` describes them on the page where they are many.
    """

    name: str
    values: Sequence[Value] | range
    said: str = ""


class Program:
    """The metrics of one program, `streamlens_<name>_…`, in a registry of their own.

    With `process_…` of the library: memory, CPU seconds, open files, start time.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.registry = CollectorRegistry()
        self.meters: list[Meter[Counter] | Meter[Gauge] | Meter[Histogram]] = []
        ProcessCollector(registry=self.registry)

    def count(self, name: str, text: str, *labels: Label) -> "Count":
        """Declare a counter; its name ends in `_total`."""
        meter = Count(Counter, self, name, text, labels)
        self.meters.append(meter)
        return meter

    def level(self, name: str, text: str, *labels: Label) -> "Level":
        """Declare a gauge."""
        meter = Level(Gauge, self, name, text, labels)
        self.meters.append(meter)
        return meter

    def times(self, name: str, text: str, *labels: Label) -> "Times":
        """Declare a histogram of seconds."""
        meter = Times(Histogram, self, name, text, labels, buckets=SECONDS)
        self.meters.append(meter)
        return meter


class Meter(Generic[_Kind]):
    """One declared metric. Its labels' values are given in the order of the declaration."""

    def __init__(
        self,
        kind: type[_Kind],
        program: Program,
        name: str,
        text: str,
        labels: Sequence[Label],
        **options: Any,
    ) -> None:
        self.kind = kind.__name__.lower()
        self.name = f"streamlens_{program.name}_{name}"
        self.text = text
        self.labels = tuple(labels)
        names = [label.name for label in labels]
        self._made = kind(self.name, text, names, registry=program.registry, **options)
        self._allowed = [frozenset(label.values) for label in labels]
        self._children: dict[tuple[Value, ...], _Kind] = {}
        if not labels:
            self._children[()] = self._made
        elif len(labels) == 1 and not isinstance(labels[0].values, range):
            for value in labels[0].values:  # shown as 0 from the start
                self.of(value)

    def of(self, *values: Value) -> _Kind:
        """The library's object for these values of the labels."""
        child = self._children.get(values)
        if child is not None:
            return child
        allowed = zip(values, self._allowed, strict=True)
        bounded = tuple(value if value in known else OTHER for value, known in allowed)
        child = self._made.labels(*bounded)
        if bounded == values:  # values that are not listed are not remembered either
            self._children[values] = child
        return child


class Count(Meter[Counter]):
    """Only grows; begins at 0 with the process."""

    def inc(self, *values: Value) -> None:
        """One more."""
        (self._children.get(values) or self.of(*values)).inc()

    def add(self, number: float, *values: Value) -> None:
        """So many more, at least 0."""
        (self._children.get(values) or self.of(*values)).inc(number)


class Level(Meter[Gauge]):
    """Goes up and down."""

    def set(self, number: float, *values: Value) -> None:
        """What it is now."""
        self.of(*values).set(number)

    def move(self, number: float, *values: Value) -> None:
        """Up or down by so much."""
        self.of(*values).inc(number)

    def follow(self, look: Callable[[], float], *values: Value) -> None:
        """Asked whenever somebody looks, from then on, on another thread."""
        self.of(*values).set_function(look)


class Times(Meter[Histogram]):
    """A distribution of seconds."""

    def observe(self, seconds: float, *values: Value) -> None:
        """One took so long."""
        (self._children.get(values) or self.of(*values)).observe(seconds)


# They would be a second series for every counter, which nobody reads.
disable_created_metrics()  # type: ignore[no-untyped-call]
