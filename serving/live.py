"""One WebSocket of `/v1/live`, from its subscription to its end."""

import math
import time
from collections.abc import Callable
from typing import Any, Final

import gevent
from simple_websocket import ConnectionClosed

from serving import subscription
from serving.gate import RETURN_SECONDS, Access, Gate, Hold
from serving.ingest.errors import RequestError
from serving.notices import error_message, leaving_message, ticket_message
from serving.push import Hub
from serving.subscriber import Leaving, Overrun, Subscriber
from serving.wire import PING_SECONDS, Wire, text_frame
from telemetry import metrics

MAX_MESSAGE_BYTES: Final = 4_096  # from a client
SUBSCRIBE_SECONDS: Final = 25.0  # within which a new socket says what it wants
RESUBSCRIBE_SECONDS: Final = 0.1  # between two subscriptions of one socket


def serve(
    socket: Any, hub: Hub, gate: Gate, access: Access, admit: Callable[[], None] = lambda: None
) -> int:
    """Everything that is said on one socket, until either side closes it. The bytes written.

    `admit` counts a change of mind as a request; it raises RequestError.
    """
    wire = Wire(socket)
    reason = "client"
    metrics.SERVICE_SOCKETS.move(1)
    try:
        with gate.hold(access, wire.event) as held:
            reason = _serve(socket, wire, hub, gate, held, admit)
    except ConnectionClosed:
        return wire.sent
    finally:
        wire.release()
        metrics.SERVICE_SOCKETS.move(-1)
        metrics.SERVICE_CLOSED.inc(reason)
    return wire.sent


def _serve(
    socket: Any, wire: Wire, hub: Hub, gate: Gate, held: Hold, admit: Callable[[], None]
) -> str:
    """Why it was closed by us. Raises ConnectionClosed when the client is gone."""
    try:
        return _talk(socket, wire, hub, gate, held, admit)
    except RequestError as error:
        wire.send(text_frame(error_message(error.code, error.message)))
        socket.close(1008, error.code)
        return "refused"
    except Leaving as leaving:
        wire.send(text_frame(leaving_message(leaving.within)))
        socket.close(1001, "the server restarts")
        return "stopping"
    except Overrun:
        socket.close(1013, "reads too slowly")
        return "slow"


def _talk(
    socket: Any, wire: Wire, hub: Hub, gate: Gate, held: Hold, admit: Callable[[], None]
) -> str:
    """Until there is a reason to stop; then nothing is pushed any more."""
    opened = time.monotonic()
    place: Subscriber | None = None
    renew = math.inf  # when the next ticket is due
    try:
        while True:
            held.check()
            wire.flush()
            text = wire.receive()
            if text is not None:
                asked = subscription.of_message(text, held.access)
                if place is not None:
                    admit()
                    place.leave()
                    gevent.sleep(RESUBSCRIBE_SECONDS)
                place = hub.join(
                    held.access.project,
                    asked.filters,
                    wire.push,
                    wire.event,
                    asked.since,
                    asked.shape,
                )
                renew = opened if asked.tickets else math.inf
            elif place is None:
                if time.monotonic() > opened + SUBSCRIBE_SECONDS:
                    socket.close(1008, "no subscription")
                    return "unsubscribed"
                wire.wait(1.0)
            elif (frame := place.take()) is not None:
                wire.send(frame)
            elif time.monotonic() >= renew:
                renew = time.monotonic() + RETURN_SECONDS / 2
                ticket = gate.ticket(held.access, RETURN_SECONDS)
                wire.send(text_frame(ticket_message(ticket, RETURN_SECONDS)))
            else:
                wire.wait(PING_SECONDS)
                wire.keep_alive()
    finally:
        if place is not None:
            place.leave()
