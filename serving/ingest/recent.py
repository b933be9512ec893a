"""A sample of what this collector process took and refused, for `stores.recent`.

Between two writes of the ledger at most `EACH` of either kind of a project are noted, the first:
above that an event costs a comparison.
"""

import uuid
from itertools import count
from typing import Any, Final

from serving.ingest.errors import RequestError
from serving.ingest.reader import Read, Rejected
from serving.ingest.rows import Sender
from stores import recent
from stores.recent import MAX_TEXT, Entry

EACH: Final = 10


class Recent:
    """What waits to be written, by project."""

    def __init__(self) -> None:
        self._process = uuid.uuid4().hex[:12]
        self._numbers = count()
        self._accepted: dict[str, list[Entry]] = {}
        self._refused: dict[str, list[Entry]] = {}

    def sample(self, project: str, read: Read, sender: Sender) -> list[Entry]:
        """Of a request that was read, before it is known whether the broker takes it."""
        room = EACH - len(self._accepted.get(project, ()))
        found = []
        for place, event in enumerate(read.events[: max(0, room)]):
            money = read.money.get(place)
            found.append(
                Entry(
                    id=self._id(),
                    at=sender.received_at,
                    type=event.type,
                    url=None if event.url is None else _before_query(event.url),
                    category=event.category or "",
                    country=sender.country,
                    device=sender.agent.device,
                    revenue_micros=money.revenue if money and event.type == "purchase" else None,
                )
            )
        return found

    def took(self, project: str, entries: list[Entry]) -> None:
        """The broker has these."""
        held = self._accepted.setdefault(project, [])
        held.extend(entries[: EACH - len(held)])

    def rejected(self, project: str, received_at: int, rejected: list[Rejected]) -> None:
        """Events that were refused, their neighbours not."""
        for one in rejected:
            if not self._refuse(project, received_at, one.code, one.message):
                return

    def refused(self, project: str, received_at: int, error: RequestError) -> None:
        """A whole request that its sender has to change."""
        self._refuse(project, received_at, error.code, error.message)

    def put(self, pipe: Any) -> None:
        """Put the writes of all that wait on a pipe; nothing waits then."""
        for held in (self._accepted, self._refused):
            for project, entries in held.items():
                recent.put(pipe, project, entries)
            held.clear()

    @property
    def waits(self) -> bool:
        """Whether there is something to write."""
        return bool(self._accepted or self._refused)

    def _refuse(self, project: str, at: int, code: str, message: str) -> bool:
        """Whether it could be noted."""
        held = self._refused.setdefault(project, [])
        if len(held) >= EACH:
            return False
        held.append(Entry(id=self._id(), at=at, code=code, message=message[:MAX_TEXT]))
        return True

    def _id(self) -> str:
        return f"{self._process}-{next(self._numbers)}"


def _before_query(url: str) -> str:
    return url.partition("?")[0].partition("#")[0][:MAX_TEXT]
