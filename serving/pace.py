"""How often the feeds of a process read, and how they slow down when it cannot keep up.

While all is well a feed reads soon after news, at most a few times in a refresh, and at every
refresh in any case. When feeds are at it most of the time, or one pass takes longer than a refresh,
the refresh is doubled, again and again up to `SLOWEST`, and sockets are told; it is halved when
that would surely do. A step up takes `STRAINED_LOOKS` looks in a row and a step down `CALM_LOOKS`;
a look spans a refresh. Between both bounds of the share there is more than a factor of two, which
is what a step makes, so a load that stays as it is never makes the pace swing.
"""

import time
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from telemetry import metrics

LEAST: Final = 0.1  # seconds between two reads of a feed
MESSAGES: Final = 5_000  # a second to all sockets of a process (a sixth of a core)
READING: Final = 0.2  # of the time that one feed may spend on reading and handing out
SLOWEST: Final = 10.0  # seconds: no refresh becomes longer
BUSY: Final = 0.8  # share of the time: over it is strained
CALM: Final = 0.3  # share: half as slow would be well
EARLY: Final = 0.5  # share: over it what news there is waits for a quarter of the refresh
STRAINED_LOOKS: Final = 2
CALM_LOOKS: Final = 5

Interval = tuple[float, float]


def pause(refresh: float, sockets: int, spent: float) -> float:
    """Seconds from one read on news to the next.

    Announcements come in bursts. Few sockets see each at once. What a crowd costs is bounded, by
    the `sockets` of the process and by what the last read `spent` (seconds), but for four reads
    within one refresh, which everybody gets.
    """
    return min(refresh / 4, max(LEAST, sockets / MESSAGES, spent / READING))


class Stand(NamedTuple):
    """Where the pace stands after a look."""

    level: int = 0  # how often the refresh is doubled
    strained: int = 0  # looks in a row
    calm: int = 0  # looks in a row
    early: bool = True  # news need not wait


class Load(NamedTuple):
    """What a look sees of the time since the last one."""

    share: float  # of it, in which any feed read or handed out
    longest: float  # seconds that a pass took


def refresh_at(level: int, refresh: float) -> float:
    """The refresh of a level, from the one that is asked for."""
    slowest = max(refresh, SLOWEST)
    for _ in range(level):
        if refresh >= slowest:
            break
        refresh = min(2 * refresh, slowest)
    return refresh


def after(stand: Stand, load: Load, refresh: float) -> Stand:
    """Where the pace stands after one more look; `refresh` is the one that is asked for."""
    level, early = stand.level, load.share <= EARLY
    now = refresh_at(level, refresh)
    if load.share > BUSY or load.longest > now:
        strained = min(stand.strained + 1, STRAINED_LOOKS)
        if strained < STRAINED_LOOKS or refresh_at(level + 1, refresh) == now:
            return Stand(level, strained, 0, early)
        return Stand(level + 1, 0, 0, early)
    if level == 0 or load.share > CALM or load.longest > refresh_at(level - 1, refresh) / 2:
        return Stand(level, 0, 0, early)
    if stand.calm + 1 < CALM_LOOKS:
        return Stand(level, 0, stand.calm + 1, early)
    return Stand(level - 1, 0, 0, early)


def covered(intervals: Iterable[Interval], start: float, end: float) -> float:
    """How much of the time from `start` to `end` is in any of the intervals; seconds."""
    found, until = 0.0, start
    for first, last in sorted(intervals):
        first, last = max(first, until), min(last, end)
        if first < last:
            found += last - first
            until = last
    return found


class Pace:
    """The pace of all feeds of a process. `changed` is called after a step, with the new refresh.

    `crowd` says how many sockets there are.
    """

    def __init__(
        self,
        refresh: float,
        crowd: Callable[[], int] = lambda: 0,
        changed: Callable[[float], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._asked = refresh
        self._crowd = crowd
        self._changed = changed
        self._clock = clock
        self._stand = Stand()
        self._looked = clock()
        self._passes: list[Interval] = []  # since then; feeds pause between them, so they are few

    @property
    def refresh(self) -> float:
        """Longest time between two messages, in seconds."""
        return refresh_at(self._stand.level, self._asked)

    @property
    def degraded(self) -> bool:
        """Whether it is longer than was asked for."""
        return self._stand.level > 0

    def pause(self, spent: float) -> float:
        """Seconds from a read that took so long until news is read: see the function."""
        if self.degraded or not self._stand.early:
            return self.refresh / 4
        return pause(self.refresh, self._crowd(), spent)

    def passed(self, started: float) -> None:
        """A feed has read and handed out, from then (of the clock) to now."""
        now = self._clock()
        self._passes.append((started, now))
        if now - self._looked >= self.refresh:
            self._look(now)

    def _look(self, now: float) -> None:
        share = covered(self._passes, self._looked, now) / (now - self._looked)
        longest = max(last - first for first, last in self._passes)
        self._looked = now
        self._passes.clear()
        before = self.refresh
        self._stand = after(self._stand, Load(share, longest), self._asked)
        metrics.SERVICE_FEED_SHARE.set(share)
        if self.refresh != before:
            self._changed(self.refresh)
