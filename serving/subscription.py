"""What a client of the live numbers asks for, in a message or in a URL's arguments."""

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from serving import query
from serving.arguments import check_names, invalid
from serving.gate import Access
from serving.shape import ALL, Shape, shape_of

LATEST: Final = 1e11  # seconds: no clock says more
PARAMETERS: Final = ("filter", "metrics", "dimensions", "recent", "since")
_FLAGS: Final = {"0": False, "1": True}


class Subscription(NamedTuple):
    """`since` is the `as_of` of the client's last message, if it had one.

    `tickets`: whether it wants tickets to come back with.
    """

    filters: dict[str, str]
    since: float | None
    shape: Shape = ALL
    tickets: bool = False


def of_message(text: str | bytes, access: Access) -> Subscription:
    """A subscribe message, within what `access` opens. Raises RequestError."""
    wrong = invalid(
        'Send {"type": "subscribe", "filter": …, "metrics": …, "dimensions": …, "recent": …, '
        '"since": …, "tickets": …}.'
    )
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        raise wrong from None
    if not isinstance(message, dict) or message.get("type") != "subscribe":
        raise wrong
    filters, since, tickets = (message.get(name) for name in ("filter", "since", "tickets"))
    filters = {} if filters is None else filters
    if not isinstance(filters, dict) or not all(isinstance(v, str) for v in filters.values()):
        raise wrong
    if since is not None and (
        isinstance(since, bool) or not isinstance(since, int | float) or not 0 <= since <= LATEST
    ):
        raise wrong
    if tickets is not None and not isinstance(tickets, bool):
        raise wrong
    query.check_filter({name: (value,) for name, value in filters.items()})
    shape = shape_of(*(message.get(name) for name in ("metrics", "dimensions", "recent")))
    return Subscription(
        access.within(filters), None if since is None else float(since), shape, bool(tickets)
    )


def of_arguments(
    arguments: Mapping[str, list[str]], last_event_id: str | None, access: Access
) -> Subscription:
    """The same in a URL; an event stream's browser says `since` as `Last-Event-ID`. RequestError.

    A ticket beside it is not looked at: it is why there is an `access`.
    """
    check_names(arguments, (*PARAMETERS, "ticket"))
    found = query.parse_filter(arguments.get("filter", []))
    if any(len(values) > 1 for values in found.values()):
        raise invalid("The live numbers are of one value of a dimension.")
    said = [last_event_id] if last_event_id else arguments.get("since", [])
    try:
        times = [float(text) for text in said]
    except ValueError:
        times = [-1.0]
    if len(times) > 1 or not all(0 <= time <= LATEST for time in times):
        raise invalid("since is the as_of of a message.")
    filters = {name: values[0] for name, values in found.items()}
    shape = shape_of(
        _names(arguments, "metrics"), _names(arguments, "dimensions"), _flag(arguments, "recent")
    )
    return Subscription(access.within(filters), times[0] if times else None, shape)


def _names(arguments: Mapping[str, list[str]], parameter: str) -> list[str] | None:
    """Names with commas; None when there are none."""
    said = arguments.get(parameter)
    return None if said is None else [name for text in said for name in text.split(",") if name]


def _flag(arguments: Mapping[str, list[str]], parameter: str) -> Any:
    said = arguments.get(parameter, ["0"])
    if len(said) != 1 or said[0] not in _FLAGS:
        raise invalid(f"{parameter} is 0 or 1.")
    return _FLAGS[said[0]]
