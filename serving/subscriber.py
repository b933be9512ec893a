"""One socket's place in a feed: a bounded queue of frames."""

from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from gevent.event import Event

from serving.shape import ALL, Shape
from telemetry import metrics

QUEUE: Final = 20  # messages a socket may be behind: two seconds of the most that there can be

Push = Callable[[bytes], bool]  # writes a frame at once; False: it cannot, queue it


def queue_all(_: bytes) -> bool:
    """The `Push` of those for whom only the greenlet that answers their request writes."""
    return False


class Overrun(Exception):
    """The socket did not read for too long."""


class Leaving(Exception):
    """This process is about to stop: all should be back within so many seconds."""

    def __init__(self, within: int) -> None:
        super().__init__(within)
        self.within = within


class Group(Protocol):
    """What subscribers are in."""

    def remove(self, subscriber: "Subscriber") -> None:
        """It wants nothing more."""


class Subscriber:
    """One socket's bounded queue of frames: for those that `push` does not take at once.

    `arrived` is set when there is something to `take`. `since` is the `as_of` of the last message
    that the client has of this feed, if it has any: then it gets what has changed since, if known.
    """

    def __init__(
        self,
        group: Group,
        push: Push,
        arrived: Event,
        since: float | None = None,
        shape: Shape = ALL,
    ) -> None:
        self._group = group
        self._push = push
        self._messages: deque[bytes] = deque()
        self.arrived = arrived
        self._overruns = 0
        self._within: int | None = None  # seconds to come back in, once this process stops
        self.fresh = True  # wants a snapshot next, or the gap
        self.since = since
        self.shape = shape

    def put(self, message: bytes, snapshot: Callable[[], bytes]) -> bool:
        """Send numbers, or queue them; one that is behind gets a snapshot for what it missed.

        Who has no queue is written to from here: to wake its greenlet costs ten times as much.
        Whether it was.
        """
        if not self._messages and self._push(message):
            return True
        if len(self._messages) >= QUEUE:
            self._overrun()
            message = snapshot()
        self._messages.append(message)
        self.arrived.set()
        return False

    def tell(self, notice: bytes) -> bool:
        """Send what is no numbers, or queue it; one that is behind gets a snapshot after it."""
        if not self._messages and self._push(notice):
            return True
        if len(self._messages) >= QUEUE:
            self._overrun()
            self.fresh, self.since = True, None
        self._messages.append(notice)
        self.arrived.set()
        return False

    def leave(self) -> None:
        """No more messages."""
        self._group.remove(self)

    def stop(self, within: int) -> None:
        """Nothing more will come, and all should be back within so many seconds."""
        self._within = within
        self.arrived.set()

    def take(self) -> bytes | None:
        """The next frame, or None when there is none yet. Raises Overrun or Leaving."""
        if self._within is not None:
            raise Leaving(self._within)
        if self._overruns > 1:
            raise Overrun
        if not self._messages:
            self._overruns = 0  # it has caught up
            self.arrived.clear()
            return None
        return self._messages.popleft()

    def _overrun(self) -> None:
        self._overruns += 1
        metrics.SERVICE_OVERRUNS.inc()
        metrics.SERVICE_DROPPED.add(len(self._messages))
        self._messages.clear()
