"""A container of events decoded in one typed pass that also checks nearly all rules.

`quick` makes a subclass of an event's class whose types say more than `schema.Event` can afford to:
the names of types and currencies are those that were met before (a look-up, where a pattern costs
350 ns a name), and times and props have their limits. What decodes with it is what decodes with the
class and passes `schema.check`, but for what `plain` looks at. What does not may still be right:
decode it event by event, and `Names.learn` what was good.
"""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
import numpy as np
from msgspec import Meta

from events import limits, schema

E = TypeVar("E", bound=schema.Event)

MAX_NAMES: Final = 256  # custom types that are known at once
_BRACE: Final = ord("{")
_GAP: Final = limits.MAX_EVENT_BYTES // 2

_Time = Annotated[int, Meta(ge=limits.MIN_TS_MS, le=limits.MAX_TS_MS)]
_Text = Annotated[str, Meta(max_length=limits.MAX_PROP_VALUE_CHARS)]
# A limit on the names costs 40 ns each here.
_Props = Annotated[dict[str, _Text | int | float | bool | None], Meta(max_length=limits.MAX_PROPS)]


def quick(event: type[E], types: Iterable[str], currencies: Iterable[str]) -> type[E]:
    """The subclass. Every name must be one that `event` takes; there is at least one of each."""
    made: Any = msgspec.defstruct(
        "Quick",
        [
            ("type", Literal[tuple(types)]),
            ("ts", _Time),
            ("currency", Literal[tuple(currencies)] | None, None),
            ("props", _Props | None, None),
        ],
        bases=(event,),
        kw_only=True,
        gc=False,
    )
    found: type[E] = made
    return found


def request(event: type[schema.Event]) -> Any:
    """`schema.Request` of such events, at least one and no more than a request may have."""
    some = Meta(min_length=1, max_length=limits.MAX_EVENTS_PER_REQUEST)
    items: Any = Annotated[list[event], some]  # type: ignore[valid-type]
    return msgspec.defstruct(
        "QuickRequest", [("events", items)], bases=(schema.Request,), kw_only=True
    )


class Names:
    """The types that are known: the product's own, and custom ones as they come, up to a limit."""

    def __init__(self) -> None:
        self.all: tuple[str, ...] = schema.TYPES

    def learn(self, events: Iterable[schema.Event]) -> bool:
        """Know the types of these good events too; whether any is new."""
        found = {event.type for event in events}.difference(self.all)
        room = len(schema.TYPES) + MAX_NAMES - len(self.all)
        new = sorted(found)[:room]
        self.all += tuple(new)
        return bool(new)


def plain(events: Sequence[schema.Event]) -> bool:
    """Whether the rules hold that `quick` leaves open, but for those on money and on size."""
    names: set[str] = set().union(*[e.props for e in events if e.props is not None])
    return not names or max(map(len, names)) <= limits.MAX_PROP_NAME_CHARS


def none_too_large(body: bytes, events: Sequence[schema.Event]) -> bool:
    """Whether surely none of a body's events is over `MAX_EVENT_BYTES`. About 60 ns an event.

    `body` is one JSON object with `events` in it and no others. When it has just as many opening
    braces as they and their props need, each stands where an event or its props begin, so that
    between the braces around two gaps is at most one event.
    """
    if len(body) <= limits.MAX_EVENT_BYTES:
        return True
    braces = int(np.count_nonzero(np.frombuffer(body, np.uint8) == _BRACE))
    if braces != 1 + len(events) + sum([e.props is not None for e in events]):
        return False
    at = 0
    while len(body) - at > _GAP:
        at = body.rfind(b"{", at + 1, at + _GAP + 1)
        if at < 0:
            return False
    return True
