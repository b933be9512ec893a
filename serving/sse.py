"""`GET /v1/live/sse`: the messages of `/v1/live` as server-sent events.

For clients that no WebSocket gets through to. A message is an event whose id is its `as_of`: a
browser that comes back says it in `Last-Event-ID`, and gets what it missed.
"""

import secrets
from collections.abc import Callable, Iterator
from typing import Final

from gevent.event import Event

from serving.gate import Access, Gate, Hold
from serving.ingest.errors import RequestError
from serving.notices import error_message, leaving_message
from serving.push import Hub
from serving.subscriber import Leaving, Overrun, queue_all
from serving.subscription import Subscription
from serving.wire import SEND_SECONDS, count, payload_of
from telemetry import metrics

QUIET_SECONDS: Final = 15.0  # without a message, then a comment, so that proxies do not hang up
_BACK: Final = 2_000  # ms until a browser comes back
_AS_OF: Final = b'"as_of":'


def stream(
    hub: Hub,
    gate: Gate,
    access: Access,
    asked: Subscription,
    limit: Callable[[float | None], None],
) -> Iterator[bytes]:
    """The events, until the client is gone, reads too slowly, may not, or this process stops.

    `limit` says how long, in seconds, a write may take.
    """
    arrived = Event()
    limit(SEND_SECONDS)
    try:
        with gate.hold(access, arrived) as held:
            yield from _stream(hub, held, asked, arrived)
    finally:
        limit(None)


def _stream(hub: Hub, held: Hold, asked: Subscription, arrived: Event) -> Iterator[bytes]:
    place = hub.join(
        held.access.project, asked.filters, queue_all, arrived, asked.since, asked.shape
    )
    metrics.SERVICE_SOCKETS.move(1)
    reason = "client"
    try:
        yield _retry(_BACK)
        while True:
            held.check()
            frame = place.take()
            if frame is not None:
                event = _event(payload_of(frame))
                count(1, len(event))
                yield event
            elif not arrived.wait(QUIET_SECONDS):
                yield b":\n\n"
    except Leaving as leaving:
        reason = "stopping"
        yield _retry(secrets.randbelow(leaving.within * 1_000))
        yield _event(leaving_message(leaving.within))
    except Overrun:
        reason = "slow"
    except RequestError as error:
        reason = "refused"
        yield _event(error_message(error.code, error.message))
    finally:
        place.leave()
        metrics.SERVICE_SOCKETS.move(-1)
        metrics.SERVICE_CLOSED.inc(reason)


def _retry(wait: int) -> bytes:
    """When a browser comes back after the end, in ms from then."""
    return b"retry: %d\n\n" % wait


def _event(message: bytes) -> bytes:
    start = message.find(_AS_OF)
    if start < 0:
        return b"data: %s\n\n" % message
    start += len(_AS_OF)
    return b"id: %s\ndata: %s\n\n" % (message[start : message.index(b",", start)], message)
