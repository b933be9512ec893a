"""What an event is: the typed JSON a client sends, and its validation.

A request is decoded in one typed pass (about 1 µs an event). Only when that fails are its events
decoded one by one, so that one bad event never costs its neighbours.
"""

import re
import uuid
from decimal import Context, Decimal, Inexact
from typing import Annotated, Final, NamedTuple, TypeVar

import msgspec
from msgspec import Meta

from events import limits

TYPES: Final = ("page_view", "click", "purchase", "error")  # any other name is a custom type

TYPE_NAME: Final = r"^[a-z][a-z0-9_.:-]*\Z"
Id = Annotated[str, Meta(min_length=1, max_length=limits.MAX_ID_CHARS)]
PropValue = str | int | float | bool | None


class Event(msgspec.Struct, kw_only=True, gc=False):
    """One user event as the client sends it. `ts` is the client's clock, ms since the epoch."""

    type: Annotated[str, Meta(pattern=TYPE_NAME, max_length=limits.MAX_TYPE_CHARS)]
    user_id: Id
    ts: int
    id: uuid.UUID | None = None
    session_id: Id | None = None
    url: Annotated[str, Meta(max_length=limits.MAX_URL_CHARS)] | None = None
    category: Annotated[str, Meta(max_length=limits.MAX_CATEGORY_CHARS)] | None = None
    amount: Decimal | None = None
    currency: Annotated[str, Meta(pattern=r"^[A-Z]{3}\Z")] | None = None
    props: dict[str, PropValue] | None = None


E = TypeVar("E", bound=Event)


class Request(msgspec.Struct, kw_only=True):
    """The body of `POST /v1/events`, events still undecoded."""

    events: list[msgspec.Raw]
    batch_id: Annotated[str, Meta(min_length=1, max_length=limits.MAX_BATCH_ID_CHARS)] | None = None
    sent_at: int | None = None


class Rejection(NamedTuple):
    """Why one event was refused: a code of `events.reasons.EVENT_REASONS`, and what was seen."""

    code: str
    message: str


class InvalidEvent(ValueError):
    """An event that breaks the schema; carries its `Rejection`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.rejection = Rejection(code, message)


_EXACT: Final = Context(prec=64, traps=[Inexact])  # never rounds in silence
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
# Whatever is no half of a pair in one go, then such a half. It always matches, so it is linear.
_SURROGATES: Final = re.compile(
    rb"(?:[^\\]+|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|\\(?!u[dD][89a-fA-F][0-9a-fA-F]{2})(?s:.)?)++"
    rb"|(?P<lone>\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)
_event_decoder: Final = msgspec.json.Decoder(Event)
_request_decoder: Final = msgspec.json.Decoder(Request)


def decode_request(body: bytes) -> Request:
    """The typed envelope of a body. Raises `msgspec.DecodeError` when it is not one.

    Half a surrogate pair, which a client writes that cuts a text within an emoji, is valid JSON
    and no Unicode. It is read as U+FFFD, as browsers do, so that it costs its neighbours nothing.
    """
    try:
        return _request_decoder.decode(body)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        if not _SURROGATE.search(body):
            raise
    return _request_decoder.decode(_SURROGATES.sub(_mended, body))


def _mended(match: "re.Match[bytes]") -> bytes:
    return b"\\ufffd" if match["lone"] else match[0]


def decode_event(raw: bytes | msgspec.Raw) -> Event:
    """One event, decoded and checked. Raises `InvalidEvent` with the reason."""
    return decode_with(_event_decoder, raw)


def decode_with(decoder: "msgspec.json.Decoder[E]", raw: bytes | msgspec.Raw) -> E:
    """The same with the decoder of a subclass of `Event`."""
    if len(memoryview(raw)) > limits.MAX_EVENT_BYTES:
        raise InvalidEvent(
            "event_too_large", f"The event is over {limits.MAX_EVENT_BYTES} bytes of JSON."
        )
    try:
        event = decoder.decode(raw)
    except msgspec.ValidationError as error:
        raise InvalidEvent(_code(str(error)), str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidEvent("event_malformed", str(error)) from None
    check(event)
    return event


def check(event: Event) -> None:
    """The rules that types alone do not express. Raises `InvalidEvent`."""
    if not limits.MIN_TS_MS <= event.ts <= limits.MAX_TS_MS:
        raise InvalidEvent("event_ts_invalid", "ts is not a plausible time in milliseconds.")
    if (event.amount is None) != (event.currency is None):
        raise InvalidEvent("amount_incomplete", "amount and currency go together.")
    if event.amount is not None:
        micros(event.amount)
    if event.props is not None:
        check_props(event.props)


def micros(amount: Decimal) -> int:
    """Money as an integer number of millionths. Raises `InvalidEvent` when that loses something."""
    if not amount.is_finite() or abs(amount.adjusted()) > 30:
        raise InvalidEvent("amount_invalid", "amount is out of range.")
    try:
        scaled = _EXACT.scaleb(amount, 6)
    except Inexact:
        raise InvalidEvent("amount_invalid", "amount has too many digits.") from None
    whole = int(scaled)
    if whole != scaled:
        raise InvalidEvent("amount_invalid", "amount has more than six decimals.")
    if abs(whole) > limits.MAX_AMOUNT_MICROS:
        raise InvalidEvent("amount_invalid", "amount is out of range.")
    return whole


def check_props(props: dict[str, PropValue]) -> None:
    """The limits of props. Raises `InvalidEvent`."""
    if len(props) > limits.MAX_PROPS:
        raise InvalidEvent("event_props_invalid", f"props has over {limits.MAX_PROPS} keys.")
    for name, value in props.items():
        if len(name) > limits.MAX_PROP_NAME_CHARS:
            raise InvalidEvent("event_props_invalid", "A name in props is too long.")
        if isinstance(value, str) and len(value) > limits.MAX_PROP_VALUE_CHARS:
            raise InvalidEvent("event_props_invalid", "A value in props is too long.")


def _code(message: str) -> str:
    if "`$.props" in message:
        return "event_props_invalid"
    if "missing required field" in message:
        return "event_field_missing"
    if "- at `$" not in message:
        return "event_malformed"
    if "`$.amount`" in message:
        return "amount_invalid"
    if "`$.ts`" in message:
        return "event_ts_invalid"
    return "event_field_invalid"
