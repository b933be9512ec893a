"""The events that came in last, of each project: what the collectors took or refused, and why.

A sample where there are many, for people to look at: nothing is counted from it. Users are not in
it, and of a URL what stands before its query.
"""

from typing import Any, Final

import msgspec

from stores import layout
from stores.contract import DAY

KEPT: Final = 100  # of a project
SHOWN: Final = 50  # of these, to one who comes
EXPIRES: Final = DAY  # seconds after the last
MAX_TEXT: Final = 200  # characters of a URL or a message


class Entry(msgspec.Struct, omit_defaults=True, frozen=True):
    """An event that was accepted, or, with a code, one or a whole request that was refused."""

    id: str  # no other has it
    at: int  # ms, when it was received
    type: str = ""
    url: str | None = None
    category: str = ""
    country: str = ""
    device: str = ""
    revenue_micros: int | None = None  # of a purchase, in the project's currency
    code: str = ""
    message: str = ""

    @property
    def accepted(self) -> bool:
        """Whether it counts."""
        return not self.code

    def passes(self, filters: dict[str, str]) -> bool:
        """Whether it is of that part of the numbers. What was refused is of no part, but of all."""
        return not filters or (
            self.accepted and all(getattr(self, name) == value for name, value in filters.items())
        )


_encode: Final = msgspec.msgpack.Encoder().encode
_decoder: Final = msgspec.msgpack.Decoder(Entry)


def put(pipe: Any, project: str, entries: list[Entry]) -> None:
    """Put the write of some, oldest first, on a pipe."""
    key = layout.recent_key(project)
    pipe.lpush(key, *map(_encode, entries))
    pipe.ltrim(key, 0, KEPT - 1)
    pipe.expire(key, EXPIRES)


def ask(pipe: Any, project: str) -> None:
    """Put the read of all that are kept on a pipe."""
    pipe.lrange(layout.recent_key(project), 0, KEPT - 1)


def decode(reply: list[bytes]) -> list[Entry]:
    """What `ask` is answered, oldest first."""
    return [_decoder.decode(data) for data in reversed(reply)]


def said(entry: Entry) -> dict[str, Any]:
    """As clients are told."""
    head = {"id": entry.id, "at": entry.at, "accepted": entry.accepted}
    if not entry.accepted:
        return head | {"code": entry.code, "message": entry.message}
    micros = entry.revenue_micros
    return head | {
        "type": entry.type,
        "url": entry.url,
        "category": entry.category or None,
        "country": entry.country,
        "device": entry.device,
        "revenue": None if micros is None else micros / 1_000_000,
    }
