"""Rounds: traffic, a fault at some moment of it, recovery, drain, judgement."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import redis

from stores.contract import StoreUnavailable
from stores.pane import MINUTE
from tests.chaos import judge
from tests.chaos.batches import LATE_MINUTES, Countries
from tests.chaos.faults import strike
from tests.chaos.record import Record
from tests.chaos.sender import SENDERS, traffic
from tests.chaos.stack import Stack
from tests.integration.waiting import wait_for

BASELINE: Final = (3.0, 9.0)  # seconds of traffic before the fault
AFTER: Final = 4.0  # seconds of traffic after the recovery
RECOVERY: Final = 240.0  # seconds that everything acknowledged may take to be counted again
DRAIN: Final = 150.0  # seconds that the last differences may take to go away

LAST_LOOK: Final = "last look"  # in the place of a fault, after the last round

Say = Callable[[str], None]


@dataclass
class Round:
    """What happened in one."""

    number: int
    seed: str
    fault: str
    done: str = ""
    recovery: float | None = None  # seconds from the blow to: all acknowledged by then counted
    seconds: float = 0.0
    events: int = 0  # stored by the end of it, of all rounds
    unknown: int = 0  # of all rounds: not acknowledged; `unknown_came` of them are stored
    unknown_came: int = 0
    differences: list[str] = field(default_factory=list)
    evidence: list[str] = field(default_factory=list)  # raw events of minutes that differ


class Series:
    """Rounds on one stack. What differed once is not reported again."""

    def __init__(self, stack: Stack, seed: int, say: Say, senders: int = SENDERS) -> None:
        self.stack = stack
        self.seed = seed
        self.senders = senders
        self.record = Record()
        self._say = say
        self._countries = Countries(stack.geo)
        self._start = int(time.time()) // MINUTE * MINUTE - (LATE_MINUTES + 2) * MINUTE
        self._known: set[str] = set()

    def round(self, number: int, fault: str) -> Round:
        """One round. Whatever goes wrong in it is a difference."""
        result = Round(number, f"{self.seed}/{number}", fault)
        rng = random.Random(result.seed)
        began = time.monotonic()
        try:
            ports, record = self.stack.ports, self.record
            with traffic(ports, record, self._countries, result.seed, self.senders):
                time.sleep(rng.uniform(*BASELINE))
                blow = strike(fault, self.stack, rng)
                result.done = blow.done
                self._recovered()
                result.recovery = time.monotonic() - blow.at
                time.sleep(AFTER)
            self._judge(result, all_sealed=False)
        except (AssertionError, RuntimeError, OSError, redis.RedisError, StoreUnavailable) as error:
            result.differences.append(f"{type(error).__name__}: {error}"[:2_000])
        result.seconds = time.monotonic() - began
        return result

    def seal(self) -> Round:
        """After the last round: every minute is final, in all stores, and still right."""
        result = Round(0, str(self.seed), LAST_LOOK)
        began = time.monotonic()
        self._judge(result, all_sealed=True)
        result.seconds = time.monotonic() - began
        return result

    def _recovered(self) -> None:
        """What was acknowledged since the part is back, is counted, hot and raw."""
        before = self.record.acknowledged()
        wait_for("traffic", lambda: self.record.acknowledged() > before, RECOVERY)
        wanted = self.record.acknowledged()

        def counted() -> bool:
            end = int(time.time()) // MINUTE * MINUTE + 2 * MINUTE
            try:
                hot = self.stack.stores.hot.series(judge.PROJECT, (), (), self._start, end)[
                    :, 0
                ].sum()
                if hot < wanted:
                    return False
                raw = self.stack.stores.events.minute_counts(judge.PROJECT, self._start, end)[
                    :, 0
                ].sum()
            except (redis.RedisError, StoreUnavailable):
                return False
            return bool(raw >= wanted)

        wait_for("recovery", counted, RECOVERY)

    def _judge(self, result: Round, *, all_sealed: bool) -> None:
        deadline = time.monotonic() + DRAIN
        while True:
            verdict = judge.look(self.stack.stores, self.record, self._start, all_sealed=all_sealed)
            new = [line for line in verdict.differences if line not in self._known]
            if not new or time.monotonic() > deadline:
                break
            time.sleep(1.0)
        self._known.update(new)
        result.differences += new
        result.events = verdict.events
        result.unknown = self.record.counts()["unknown"]
        result.unknown_came = verdict.unknown_came
        if new:
            result.evidence = self.stack.stores.rows(judge.PROJECT, verdict.minutes[:10])
