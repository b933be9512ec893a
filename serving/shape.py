"""What a socket wants of its feed: columns, the top values of dimensions, and single events."""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from serving.arguments import invalid
from stores.pane import DIMENSIONS, Grouping

# In the order of messages; the last is sent only to those that name it.
METRICS: Final = ("events", "revenue", "page_views", "clicks", "purchases", "errors", "bots")
SHOWN: Final = METRICS[:-1]


class Shape(NamedTuple):
    """Sockets of one feed with equal shapes get the same bytes."""

    metrics: tuple[str, ...] = SHOWN  # in the order of METRICS
    dimensions: Grouping = ()  # in the order of DIMENSIONS
    recent: bool = False  # the events that came in last


ALL: Final = Shape()


def shape_of(metrics: Any, dimensions: Any, recent: Any = None) -> Shape:
    """The shape that a client names, whatever it sent; None: the default. Raises RequestError."""
    if recent is not None and not isinstance(recent, bool):
        raise invalid("recent is true or false.")
    return Shape(
        SHOWN if metrics is None else _chosen(metrics, METRICS, "metrics", least=1),
        () if dimensions is None else _chosen(dimensions, DIMENSIONS, "dimensions", least=0),
        bool(recent),
    )


def _chosen(names: Any, allowed: tuple[str, ...], what: str, least: int) -> tuple[str, ...]:
    if not isinstance(names, list) or len(names) < least or not _known(names, allowed):
        raise invalid(f"{what} is a list of {', '.join(allowed)}: {least} or more, each once.")
    return tuple(name for name in allowed if name in names)


def _known(names: list[Any], allowed: Iterable[str]) -> bool:
    """Whether all are known, and none is there twice."""
    left = set(allowed)
    for name in names:
        if not isinstance(name, str) or name not in left:
            return False
        left.remove(name)
    return True
