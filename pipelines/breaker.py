"""Stops the job when too much of what it reads cannot be used: loudly, and with nothing lost.

A few dead letters are life. When most messages die, a producer has changed its form or our code is
wrong, and numbers that go on without them are wrong in silence; so the job fails instead. Offsets
do not move past the poll that tripped: what was in it is neither counted nor given up, and a job
that is started again after a fix reads it again and counts exactly. Until then the log keeps
everything, collectors go on, and the dashboard says that the job is silent.

Counted are messages, each with the share of its lines that died, so that a thousand bad lines of
one producer weigh as much as one message of another. A worker process that trips takes the whole
job with it. No user of a write key can do that: collectors check events before they produce, and
write only what decodes. Whoever may write to the topic can, and is a program of your own.

State is bounded: SPAN seconds as SLOTS sums, and reasons are a declared list.
"""

import logging
import re
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Final, NamedTuple

from telemetry import metrics
from transforms.decode import Decoded, Message

SPAN: Final = 60  # seconds
SLOTS: Final = 30
LEAST: Final = 50  # dead messages in the span; so a bad one in a quiet night stops nothing
SHOWN: Final = 3  # reasons in the message

_log = logging.getLogger(__name__)
_BEGIN, _END = "dead-letter limit reached:", "(pipelines.breaker)"
_TOLD: Final = re.compile(f"{re.escape(_BEGIN)}.{{1,2000}}?{re.escape(_END)}")


class TooManyDead(RuntimeError):
    """The limit is passed; the message says by how much, of what, and what to do."""


class Limit(NamedTuple):
    """The share of messages above which the job stops (1: never), and where letters are."""

    share: float
    topic: str = "events-dead"


OFF: Final = Limit(1.0)


@dataclass
class _Slot:
    """What was read in SPAN / SLOTS seconds."""

    number: int
    messages: int = 0
    dead: float = 0.0
    reasons: Counter[str] = field(default_factory=Counter)
    first: str | None = None  # place of the first dead one


class Breaker:
    """What one process has read lately. Any number of threads may use it."""

    def __init__(self, limit: Limit, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._clock = clock
        self._lock = Lock()
        self._slots: deque[_Slot] = deque(maxlen=SLOTS)

    def note(self, decoded: Decoded, messages: Sequence[Message]) -> None:
        """A message was read, or several of which nothing died."""
        first = messages[0]
        number = int(self._clock() * SLOTS / SPAN)
        with self._lock:
            if not self._slots or self._slots[-1].number < number:
                self._slots.append(_Slot(number))
            slot = self._slots[-1]
            slot.messages += len(messages)
            if decoded.dead:
                slot.dead += decoded.share_dead
                for letter in decoded.dead:
                    slot.reasons[letter.reason] += letter.rows
                if slot.first is None:
                    slot.first = f"{first.topic}/{first.partition}/{first.offset}"

    def check(self) -> None:
        """Raises TooManyDead, and begins anew: who starts this again will see it all again."""
        oldest = int(self._clock() * SLOTS / SPAN) - SLOTS
        with self._lock:
            while self._slots and self._slots[0].number <= oldest:
                self._slots.popleft()
            messages = sum(slot.messages for slot in self._slots)
            dead = sum(slot.dead for slot in self._slots)
            share = dead / messages if messages else 0.0
            metrics.JOB_DEAD_SHARE.set(share)
            if share <= self._limit.share or dead < LEAST:
                return
            text = self._text(messages, dead, share)
            self._slots.clear()
        metrics.JOB_TRIPS.inc()
        _log.critical("%s", text)
        raise TooManyDead(text)

    def _text(self, messages: int, dead: float, share: float) -> str:
        reasons = sum((slot.reasons for slot in self._slots), Counter[str]())
        most = ", ".join(f"{reason} {count:,}" for reason, count in reasons.most_common(SHOWN))
        first = next(slot.first for slot in self._slots if slot.first is not None)
        return (
            f"{_BEGIN} {share:.0%} of the last {messages:,} messages cannot be used "
            f"({dead:,.0f} in {SPAN} s; --dead_letter_limit={self._limit.share:g}): {most}; "
            f"the first is at {first}. The job has stopped and gave nothing up. Look into topic "
            f"{self._limit.topic}, mend the producer or the code, and start the job again. Or "
            "start it with --dead_letter_limit=off, which counts the rest now, and run "
            f"python -m pipelines.replay after the fix {_END}"
        )


_breakers: Final[dict[Limit, Breaker]] = {}  # of this process


def of(limit: Limit) -> Breaker:
    """This process's breaker."""
    return _breakers.setdefault(limit, Breaker(limit))


def told(text: str) -> str | None:
    """What a breaker said, out of the error of a runner that failed because of it."""
    found = _TOLD.search(text)
    return None if found is None else found[0].removesuffix(f" {_END}") + "."
