"""What sockets are told beside numbers: that something is wrong, slower, or about to end."""

import math
from typing import Final

import msgspec

from events.reasons import REQUEST_ERRORS

# All of a process's sockets come back within so long, each after a random part of it.
RECONNECTS: Final = 500  # a second: about what two workers take (docs/figures.md)
SOONEST, LATEST = 2, 30  # seconds


def error_message(code: str, message: str | None = None) -> bytes:
    """What a socket is told, `code` being one of REQUEST_ERRORS."""
    said = REQUEST_ERRORS[code].message if message is None else message
    return msgspec.json.encode({"type": "error", "code": code, "message": said})


def pace_message(refresh: float, *, degraded: bool) -> bytes:
    """How long the longest time between two messages is from now on, in seconds."""
    reason = "degraded" if degraded else "normal"
    return msgspec.json.encode({"type": "announce", "reason": reason, "refresh_seconds": refresh})


def ticket_message(ticket: str, seconds: int) -> bytes:
    """A ticket to come back with, within so many seconds, should this connection be lost."""
    return msgspec.json.encode({"type": "ticket", "ticket": ticket, "seconds": seconds})


def leaving_message(within: int) -> bytes:
    """The connection is about to be closed; come back after a random part of so many seconds."""
    return msgspec.json.encode(
        {"type": "announce", "reason": "leaving", "reconnect_within_seconds": within}
    )


def reconnect_within(sockets: int) -> int:
    """Seconds that so many sockets should spread over when they come back."""
    return min(LATEST, max(SOONEST, math.ceil(sockets / RECONNECTS)))
