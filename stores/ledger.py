"""The ledger: what was sent, against what was counted, per project and minute of receipt.

Two sides that know nothing of each other. Each collector process writes its own absolute counts of
a minute (it alone writes that field, and they only grow); the pipeline counts what became of every
row it read, in windows, as a grouping set of its own. The balance, all numbers in events:

    received = accepted + rejected            (by the collectors)
    accepted + unreported = decoded + undecoded + in flight
    decoded = counted + bot + duplicate + too_late

`in_flight` is what was accepted and not read yet, `undecoded` what stands in dead letters: a
message that cannot be decoded says in a header how many rows it holds. `unreported` was decoded
without an acceptance on record: a collector died between the broker's acknowledgement and its own
note; the client may not have had an answer.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import numpy as np
import redis

from events.reasons import EVENT_REASONS, MESSAGE_REASONS
from stores import layout
from stores.contract import DAY, StoreUnavailable
from stores.hot import KEEP, HotStore
from stores.pane import MINUTE

GROUPING: Final = ("outcome",)
OUTCOMES: Final = ("counted", "bot", "duplicate", "too_late")
DEAD: Final = {f"dead:{reason}": reason for reason in MESSAGE_REASONS}  # series → reason
RECEIVED, ACCEPTED = "received", "accepted"
EXPIRES: Final = DAY + KEEP  # seconds after the minute


def key(project: str, minute: int) -> str:
    """Where the collectors' counts of a minute stand: a hash, one field per process."""
    return f"{layout.base(project)}:l:{minute}"


def encode(counts: Mapping[str, int]) -> bytes:
    """One process's counts: received, accepted, and each reason of a rejection."""
    return msgspec.msgpack.encode(dict(counts))


def summed(values: Iterable[bytes]) -> dict[str, int]:
    """The counts of all processes. Names that nobody declared are left out."""
    total: dict[str, int] = {}
    for value in values:
        for name, count in msgspec.msgpack.decode(value, type=dict[str, int]).items():
            if name in (RECEIVED, ACCEPTED) or name in EVENT_REASONS:
                total[name] = total.get(name, 0) + count
    return total


@dataclass(frozen=True)
class Balance:
    """One minute of one project."""

    minute: int  # epoch seconds
    received: int = 0
    accepted: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)  # by reason
    outcomes: Mapping[str, int] = field(default_factory=dict)  # by OUTCOMES
    # By reason: rows of dead letters of this minute. After a fix they are among the outcomes too.
    dead: Mapping[str, int] = field(default_factory=dict)

    @property
    def decoded(self) -> int:
        """Rows that the pipeline has read."""
        return sum(self.outcomes.values())

    @property
    def undecoded(self) -> int:
        """Accepted, and in dead letters that no fix has made good."""
        return min(sum(self.dead.values()), max(0, self.accepted - self.decoded))

    @property
    def in_flight(self) -> int:
        """Accepted, not read yet."""
        return max(0, self.accepted - self.decoded) - self.undecoded

    @property
    def unreported(self) -> int:
        """Decoded, with no acceptance on record."""
        return max(0, self.decoded - self.accepted)

    @property
    def unexplained(self) -> int:
        """Received and neither accepted nor rejected with a reason: always 0, or we have a bug.

        Events of requests that the broker did not take were answered with 503, and are not
        counted as received.
        """
        return self.received - self.accepted - sum(self.rejected.values())


class LedgerReader:
    """Reads both sides from the hot store's Redis."""

    def __init__(self, client: Any, store: HotStore) -> None:
        self._redis = client
        self._store = store

    def balances(self, project: str, start: int, end: int) -> list[Balance]:
        """One per minute from `start` to `end` (whole minutes, exclusive). StoreUnavailable."""
        minutes = range(start, end, MINUTE)
        try:
            pipe = self._redis.pipeline(transaction=False)
            for minute in minutes:
                pipe.hvals(key(project, minute))
            sent = [summed(values) for values in pipe.execute()]
            names = (*OUTCOMES, *DEAD)
            read = self._store.many(project, GROUPING, [(name,) for name in names], start, end)
        except redis.RedisError as error:
            raise StoreUnavailable(f"the hot store: {error}"[:200]) from error
        rows = np.stack([each[:, 0] for each in read], axis=1).tolist()
        split = len(OUTCOMES)
        return [
            Balance(
                minute,
                counts.pop(RECEIVED, 0),
                counts.pop(ACCEPTED, 0),
                counts,
                {name: n for name, n in zip(OUTCOMES, row[:split], strict=True) if n},
                {name: n for name, n in zip(DEAD.values(), row[split:], strict=True) if n},
            )
            for minute, counts, row in zip(minutes, sent, rows, strict=True)
        ]
