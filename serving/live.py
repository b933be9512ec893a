"""One WebSocket of `/v1/live`, from its subscription to its end."""

import json
import time
from collections.abc import Callable
from typing import Any, Final

import gevent
from simple_websocket import ConnectionClosed

from serving import query
from serving.ingest.errors import RequestError
from serving.projects import Project
from serving.push import Hub, Leaving, Overrun, Subscriber, error_message
from serving.wire import PING_SECONDS, Wire, text_frame
from telemetry import metrics

MAX_MESSAGE_BYTES: Final = 4_096  # from a client
SUBSCRIBE_SECONDS: Final = 25.0  # within which a new socket says what it wants
RESUBSCRIBE_SECONDS: Final = 0.1  # between two subscriptions of one socket

Read = Callable[[str | None], Project]  # the project of a read key; RequestError


def serve(socket: Any, hub: Hub, reader: Read) -> int:
    """Everything that is said on one socket, until either side closes it. The bytes written."""
    wire = Wire(socket)
    reason = "client"
    metrics.SERVICE_SOCKETS.move(1)
    try:
        reason = _serve(socket, wire, hub, reader)
    except ConnectionClosed:
        return wire.sent
    finally:
        metrics.SERVICE_SOCKETS.move(-1)
        metrics.SERVICE_CLOSED.inc(reason)
    return wire.sent


def _serve(socket: Any, wire: Wire, hub: Hub, reader: Read) -> str:
    """Why it was closed by us. Raises ConnectionClosed when the client is gone."""
    opened = time.monotonic()
    place: Subscriber | None = None
    try:
        while True:
            text = wire.receive()
            if text is not None:
                project, filters = subscription(text, reader)
                if place is not None:
                    place.leave()
                    gevent.sleep(RESUBSCRIBE_SECONDS)
                place = hub.join(project, filters)
            elif place is None:
                if time.monotonic() > opened + SUBSCRIBE_SECONDS:
                    socket.close(1008, "no subscription")
                    return "unsubscribed"
                wire.wait(None, 1.0)
            elif (frame := place.take()) is not None:
                wire.send(frame)
            else:
                wire.wait(place.arrived, PING_SECONDS)
                wire.keep_alive()
    except RequestError as error:
        said = json.loads(error.body())["error"]
        wire.send(text_frame(error_message(said["code"], said["message"])))
        socket.close(1008, error.code)
        return "refused"
    except Leaving:
        socket.close(1001, "the server restarts")
        return "stopping"
    except Overrun:
        socket.close(1013, "reads too slowly")
        return "slow"
    finally:
        if place is not None:
            place.leave()


def subscription(text: str | bytes, reader: Read) -> tuple[Project, dict[str, str]]:
    """The project and filter of a subscribe message. Raises RequestError."""
    wrong = RequestError("parameter_invalid", 'Send {"type": "subscribe", "key": …, "filter": …}.')
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        raise wrong from None
    if not isinstance(message, dict) or message.get("type") != "subscribe":
        raise wrong
    filters = message.get("filter") or {}
    if not isinstance(filters, dict) or not all(isinstance(v, str) for v in filters.values()):
        raise wrong
    key = message.get("key")
    query.check_filter({name: (value,) for name, value in filters.items()})
    return reader(key if isinstance(key, str) else None), filters
