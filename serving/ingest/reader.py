"""A body to its good events, and to what was refused of it.

Nearly always all events are good, and one typed pass says so. When it does not, events are read
one by one: the same answer, with a code and a message for each that is refused, at twice the cost.
"""

from typing import Any, Final, NamedTuple

import msgspec

from events import limits, quick, schema
from serving.ingest.errors import RequestError
from serving.projects import Project, revenue_in_range


class Rejected(msgspec.Struct):
    """One refused event: its place in the request, and why."""

    index: int
    code: str
    message: str


class Money(NamedTuple):
    """What an event is worth: as sent, if it was, and in the project's currency; in micros."""

    amount: int | None
    revenue: int  # 0 but for purchases


class Read(NamedTuple):
    """A request. `money` is by place in `events`; `bytes` is the size of their JSON, or more."""

    events: list[schema.Event]
    money: dict[int, Money]
    rejected: list[Rejected]
    bytes: int
    batch_id: str | None
    sent_at: int | None

    @property
    def received(self) -> int:
        """How many events it had."""
        return len(self.events) + len(self.rejected)


_Events = tuple[list[schema.Event], dict[int, Money], list[Rejected], int]
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Reader:
    """Reads the bodies of one project's requests."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._names = quick.Names()
        self._decoder = self._typed()

    def read(self, body: bytes) -> Read:
        """Raises `RequestError` when it is no request, or one without events or with too many."""
        try:
            request = self._decoder.decode(body)
        except _UNREADABLE:
            return self._one_by_one(parse(body))
        events = request.events
        try:
            money = self._all_money(events)
        except schema.InvalidEvent:
            return self._one_by_one(parse(body))
        if not quick.plain(events) or not quick.none_too_large(body, events):
            return self._one_by_one(parse(body))
        return Read(events, money, [], len(body), request.batch_id, request.sent_at)

    def _one_by_one(self, request: schema.Request) -> Read:
        events: list[schema.Event] = []
        money: dict[int, Money] = {}
        rejected: list[Rejected] = []
        size = 0
        for index, raw in enumerate(request.events):
            try:
                event = schema.decode_event(raw)
                if event.amount is not None:
                    money[len(events)] = self._money(event)
            except schema.InvalidEvent as error:
                rejected.append(Rejected(index, *error.rejection))
                continue
            events.append(event)
            size += len(memoryview(raw))
        if self._names.learn(events):
            self._decoder = self._typed()
        return Read(events, money, rejected, size, request.batch_id, request.sent_at)

    def _all_money(self, events: list[schema.Event]) -> dict[int, Money]:
        """Of the events that have any. Raises `schema.InvalidEvent` when one has half of it."""
        paid = [i for i, e in enumerate(events) if e.amount is not None or e.currency is not None]
        return {place: self._money(events[place]) for place in paid}

    def _money(self, event: schema.Event) -> Money:
        if event.amount is None or event.currency is None:
            raise schema.InvalidEvent("amount_incomplete", "amount and currency go together.")
        amount = schema.micros(event.amount)
        revenue = self._project.revenue_micros(amount, event.currency)
        if revenue is None:
            raise schema.InvalidEvent(
                "currency_unsupported",
                f"Project {self._project.name} has no rate for {event.currency}.",
            )
        if not revenue_in_range(revenue):
            raise schema.InvalidEvent("amount_invalid", "amount is out of range.")
        return Money(amount, revenue if event.type == "purchase" else 0)

    def _typed(self) -> "msgspec.json.Decoder[Any]":
        """For a whole request at once, with the types that are known now."""
        currencies = (self._project.currency, *self._project.rates)
        event = quick.quick(schema.Event, self._names.all, currencies)
        return msgspec.json.Decoder(quick.request(event))


def parse(body: bytes) -> schema.Request:
    """The request in a body, events undecoded. Raises `RequestError`."""
    try:
        request = schema.decode_request(body)
    except _UNREADABLE as error:
        detail = str(error)
        if "required field `events`" in detail:
            raise RequestError("events_missing") from None
        raise RequestError("body_malformed", detail[:200]) from None
    if not request.events:
        raise RequestError("events_missing")
    if len(request.events) > limits.MAX_EVENTS_PER_REQUEST:
        raise RequestError("events_too_many", f"({limits.MAX_EVENTS_PER_REQUEST})")
    return request
