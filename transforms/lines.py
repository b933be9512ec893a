"""JSON events decoded together in one typed call, where nothing is wrong with any of them.

`Quick` is `transforms.decode.Record` with what is dear left open, and looked at for all of them at
once: patterns (350 ns a name) by each name that occurs, ids as texts, and props as the bytes they
are, which are only made into objects where a look at the bytes cannot tell that they are good. A
third of the cost of one event after the other.

It says yes or nothing: what it does not take may still be right, and `transforms.decode` finds out
line by line. Whether it takes a line depends on that line alone, so what becomes of an event does
not depend on its neighbours.
"""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from events import columns, limits, plausible, schema
from events.columns import Fields

Ints = NDArray[np.int64]

_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_COUNTRIES: Final = tuple(a + b for a in _LETTERS for b in _LETTERS)
_Country: Any = Literal[_COUNTRIES]  # a look-up: no pattern, and no new text
_TYPE_NAME: Final = re.compile(schema.TYPE_NAME)
_TOGETHER: Final = 1_000  # props whose bytes stay in the processor's cache
_NULL: Final = msgspec.Raw(b"null")
_LINE_END, _SPACE, _QUOTE, _LIST, _ESCAPE, _OPEN, _CLOSE = (ord(sign) for sign in '\n "[\\{}')
# Props are plain when they have nothing in them but short names and values without escapes.
_PLAIN_BYTES: Final = min(limits.MAX_PROP_NAME_CHARS, limits.MAX_PROP_VALUE_CHARS)


class Quick(msgspec.Struct, kw_only=True, gc=False):
    """The fields of `transforms.decode.Record`, typed as far as types are cheap."""

    type: Annotated[str, Meta(max_length=limits.MAX_TYPE_CHARS)]
    user_id: schema.Id
    ts: Annotated[int, Meta(ge=limits.MIN_TS_MS, le=limits.MAX_TS_MS)]
    id: str | None = None
    session_id: schema.Id | None = None
    url: Annotated[str, Meta(max_length=limits.MAX_URL_CHARS)] | None = None
    category: Annotated[str, Meta(max_length=limits.MAX_CATEGORY_CHARS)] | None = None
    amount: Decimal | None = None
    currency: str | None = None
    props: msgspec.Raw = _NULL
    project: str | None = None
    country: _Country = "ZZ"
    device: Annotated[str, Meta(min_length=1, max_length=16)] = "other"
    bot: bool = False


_decoder: Final = msgspec.json.Decoder(Quick)
_props_decoder: Final = msgspec.json.Decoder(dict[str, schema.PropValue] | None)


class Lines(NamedTuple):
    """Good events as fields, and where their lines end (`ends[i]` is the place after line i)."""

    events: Fields
    ends: Ints


def decode(data: bytes, currency: str) -> Lines | None:
    """The events of lines of JSON, one on each; None when that is not certain.

    The last line has no line end. Nobody has looked at whether amounts are too exact or too large
    (`schema.micros` does), and `props` are as they were sent, see `props_of`.
    """
    ends = _one_on_each(data)
    if ends is None:
        return None
    try:
        events = Fields.of(_decoder.decode_lines(data))
        good = len(events.ts) == len(ends) and _good(events, currency)
        ids = columns.parse_ids([one for one in events.id if isinstance(one, str)])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, schema.InvalidEvent):
        return None
    if not good or ids is None:
        return None
    all_named = len(ids) == columns.ID_BYTES * len(ends)
    return Lines(events._replace(id=ids) if all_named else events, ends)


def props_of(events: Fields) -> Fields:
    """Events that `decode` gave, with their props as mappings."""
    return events._replace(props=[_props_decoder.decode(props) for props in events.props])


def _one_on_each(data: bytes) -> Ints | None:
    """Where lines end, when each begins and ends with a brace, and none is too large.

    As many events as such lines are one on each: an event that goes on into a second line has a
    closing brace and then an opening one, which is no JSON.
    """
    found = np.frombuffer(data, np.uint8)
    ends = np.append(np.flatnonzero(found == _LINE_END), len(data))
    starts = np.concatenate(([0], ends[:-1] + 1))
    fits = (
        len(data)
        and ends[-1] > starts[-1]
        and (found[starts] == _OPEN).all()
        and (found[ends - 1] == _CLOSE).all()
        and (ends - starts).max() <= limits.MAX_EVENT_BYTES
    )
    return ends if fits else None


def _good(events: Fields, currency: str) -> bool:
    """Whether the rules hold that `Quick` leaves open. Raises what bad props raise."""
    paid = [c for a, c in zip(events.amount, events.currency, strict=True) if a is not None]
    if set(paid) - {currency} or len(paid) != len(events.ts) - events.currency.count(None):
        return False
    props = [one for one in events.props if one is not _NULL]
    for first in range(0, len(props), _TOGETHER):
        for one in _not_plain(props[first : first + _TOGETHER]):
            found = _props_decoder.decode(one)
            if found is not None:
                schema.check_props(found)
    return all(map(_TYPE_NAME.match, set(events.type))) and all(
        map(plausible.is_project, {one for one in events.project if one is not None})
    )


def _not_plain(props: Sequence[msgspec.Raw]) -> list[msgspec.Raw]:
    """Those of which a look at the bytes cannot tell that they are good. Each is valid JSON.

    Without escapes every quote begins or ends a text, so there are half as many texts, of which the
    longest is no longer than the longest way from one quote to the next. Numbers stand between
    quotes too, and one without exponent of so few digits is in range. Raises UnicodeDecodeError
    when they are no UTF-8, which nobody has looked at before.
    """
    if not props:
        return []
    data = b"\n".join(props)
    data.decode()
    found = np.frombuffer(data, np.uint8)
    ends = np.append(np.flatnonzero(found == _LINE_END), len(data))
    starts = np.concatenate(([0], ends[:-1] + 1))
    quotes = np.flatnonzero(found == _QUOTE)
    ways = np.diff(quotes, append=len(data))
    digit, letter = found[:-1] - np.uint8(ord("0")) < 10, found[1:] | np.uint8(32)
    odd = (found < _SPACE) | (found == _ESCAPE) | (found == _LIST) | (found == _OPEN)
    odd[starts] = found[starts] != _OPEN
    odd[ends[:-1]] = False
    suspects = np.concatenate(
        (
            np.flatnonzero(odd),
            quotes[ways > _PLAIN_BYTES + 1],
            np.flatnonzero(digit & (letter == ord("e"))),
        )
    )
    many = np.diff(np.searchsorted(quotes, np.append(starts, len(data)))) > 2 * limits.MAX_PROPS
    many[np.searchsorted(ends, suspects)] = True
    return [props[place] for place in np.flatnonzero(many).tolist()]
