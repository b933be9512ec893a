"""`GET /v1/live/snapshot`: one message of `/v1/live`, and no connection that stays.

What a page shows first, and for those that neither a WebSocket nor an event stream gets through to:
who says `since` is sent what has changed.
"""

import time
from typing import Final

from gevent.event import Event

from serving.gate import Access
from serving.ingest.errors import RequestError
from serving.push import Hub
from serving.subscriber import Leaving, queue_all
from serving.subscription import Subscription
from serving.wire import payload_of

WITHIN_SECONDS: Final = 10.0  # for the store's answer
_NUMBERS: Final = (b'{"type":"snapshot"', b'{"type":"delta"')


def message(hub: Hub, access: Access, asked: Subscription) -> bytes:
    """The numbers, of a feed that has others or is made for it. Raises RequestError."""
    arrived = Event()
    place = hub.join(access.project, asked.filters, queue_all, arrived, asked.since, asked.shape)
    deadline = time.monotonic() + WITHIN_SECONDS
    try:
        while (left := deadline - time.monotonic()) > 0:
            frame = place.take()
            if frame is None:
                arrived.wait(left)
            elif (payload := payload_of(frame)).startswith(_NUMBERS):
                return payload
            elif payload.startswith(b'{"type":"error"'):
                break
        raise RequestError("store_unavailable")
    except Leaving:
        raise RequestError("shutting_down") from None
    finally:
        place.leave()
