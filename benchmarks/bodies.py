"""Requests rendered before they are sent: what is left to do then is to put the time in.

Each stands for a backend that sends for its users: `count` events of `benchmarks.dataset` (480
bytes of JSON each), an address of one of `deploy.traffic`'s networks and one of its browsers. The
time is that of the sending; a batch id of its own makes each sending a new request.
"""

import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from benchmarks import dataset
from benchmarks.dataset import Shape
from deploy import traffic

PROBE: Final = "probe"  # the category of single events that are followed one by one
_TS: Final = 1_700_000_000_000  # stands where the time belongs


@dataclass(frozen=True)
class Body:
    """One request but for its time and id: `pieces` go between the times of its events."""

    pieces: tuple[bytes, ...]
    headers: bytes  # lines of the request's own
    events: int
    micros: int  # of revenue

    def render(self, batch_id: uuid.UUID, ms: int) -> bytes:
        """The JSON of a request that is sent at `ms`; about 0.1 µs an event."""
        head = b'{"batch_id":"%s","sent_at":%d,"events":[' % (str(batch_id).encode(), ms)
        return b"".join((head, (b"%d" % ms).join(self.pieces), b"]}"))


def bodies(shape: Shape, count: int, per_request: int, seed: int = 1) -> list[Body]:
    """`count` bodies of `per_request` events; a seed gives the same ones."""
    return list(_bodies(shape, count, per_request, seed))


def probe() -> Body:
    """One event of one user, so that all of them keep their order, in a category of its own."""
    text = b'{"type":"page_view","user_id":"%s","category":"%s","ts":%d}'
    pieces = (text % (PROBE.encode(), PROBE.encode(), _TS)).split(b"%d" % _TS)
    agent = next(iter(traffic.USER_AGENTS))
    return Body(tuple(pieces), f"User-Agent: {agent}\r\n".encode(), 1, 0)


def _bodies(shape: Shape, count: int, per_request: int, seed: int) -> Iterator[Body]:
    senders = traffic.users(count, random.Random(seed))
    for index, sender in enumerate(senders):
        events = dataset.chunk(shape, index, per_request, _TS, 0, seed)
        text = b",".join(dataset.json_lines(events))
        pieces = tuple(text.split(b"%d" % _TS))
        headers = f"User-Agent: {sender.user_agent}\r\nX-Forwarded-For: {sender.address}\r\n"
        yield Body(pieces, headers.encode(), per_request, int(events.micros.sum()))
