"""What becomes of a dead letter when its original is decoded again: one of OUTCOMES. Pure."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import msgspec
import numpy as np

from events import letters
from events.letters import Letter
from pipelines.recount import Minute, Place, Wanted, since_ms
from stores.pane import MINUTE
from transforms.decode import Decoded, Ints, Mask, Message

MAX_LETTERS: Final = 1_000_000  # read at once; go on with --since
MARGIN_MS: Final = 60_000  # from a window's end until its last word is surely in the stores
_MINUTE_MS: Final = MINUTE * 1000
_BEHIND_MS: Final = 10_000

COUNTED, BEFORE, LATE, OPEN, OLD, GONE, BAD = OUTCOMES = (
    "counted", "before", "too late", "open", "too old", "gone", "bad",
)  # fmt: skip
MEANING: Final = {
    COUNTED: "good now, and counted by this run (with --dry_run: would be)",
    BEFORE: "good now, and was counted before: by another run, or a job that read it with the fix",
    LATE: "good now, but its events came later than --allowed_lateness when it came",
    OPEN: "good now, but its minutes are not closed, or no job runs: run this again later, or "
    "start the job without restored state, which reads again all that is open",
    OLD: "good now, but its minutes cannot be counted: no store keeps them, or part of their log "
    "is gone (an archive can be counted with pipelines.main --input)",
    GONE: "the original is no longer in the log",
    BAD: "still cannot be decoded",
}


@dataclass
class Case:
    """One letter that was looked at; several of one key are one."""

    reason: str
    row: int | None
    rows: int
    outcome: str = GONE
    minutes: set[Minute] = field(default_factory=set)  # of its events, to be counted

    def mine(self, lines: Ints) -> Mask:
        """Which lines of its message it is about."""
        if self.row is None:
            return np.ones(len(lines), np.bool_)
        return lines >= self.row if self.rows > 1 else lines == self.row


Cases = dict[Place, dict[int | None, Case]]  # by partition and offset, then by row


@dataclass(frozen=True)
class Choice:
    """Which letters."""

    since_ms: int = 0
    until_ms: int = 1 << 62
    reason: str | None = None
    project: str | None = None
    partition: int | None = None

    def takes(self, letter: Letter) -> bool:
        """Whether it is one of them."""
        return (
            self.since_ms <= letter.broker_ms < self.until_ms
            and self.reason in (None, letter.reason)
            and self.project in (None, letter.project)
            and self.partition in (None, letter.partition)
        )


def gather(messages: Iterable[Message], topic: str, choice: Choice) -> tuple[Cases, int]:
    """The chosen letters about a topic, each once; and how many messages were no letters."""
    cases: Cases = defaultdict(dict)
    strange = number = 0
    for message in messages:
        try:
            letter = letters.decode(message.payload)
        except msgspec.DecodeError:
            strange += 1
            continue
        if letter.topic == topic and choice.takes(letter):
            mine = cases[letter.partition, letter.offset]
            if letter.row not in mine:
                number += 1
                if number > MAX_LETTERS:
                    raise ValueError(f"over {MAX_LETTERS:,} letters: choose with --since, --until")
            mine[letter.row] = Case(letter.reason, letter.row, letter.rows)
    return dict(cases), strange


@dataclass(frozen=True)
class Bounds:
    """What can be counted. ms since the epoch."""

    log_ms: int  # the log is whole from here on
    kept_ms: int  # a store keeps minutes from here on
    counted_ms: int  # the running job's watermark; 0: no job runs, or it does not know yet
    lateness_ms: int

    def outcome(self, minute: int) -> str:
        """What can be done about a minute."""
        if minute * 1000 < self.kept_ms or since_ms([minute]) < self.log_ms:
            return OLD
        if (minute + MINUTE) * 1000 + self.lateness_ms + MARGIN_MS > self.counted_ms:
            return OPEN
        return COUNTED


def judge(case: Case, message: Message, now: Decoded, bounds: Bounds) -> Wanted:
    """Give a case its outcome by how its message decodes now; what is to be counted again."""
    case.outcome = BAD
    dead = np.array([-1 if letter.row is None else letter.row for letter in now.dead], np.int64)
    if case.row is not None and case.mine(dead).any():
        return Wanted()
    events: set[Minute] = set()
    receipts: set[Minute] = set()
    rows = 0
    for project, held in now.rows.items():
        mine = case.mine(now.places(project))
        times = held.column("event_time").to_numpy()[mine]
        received = held.column("received_at").to_numpy()[mine]
        rows += len(times)
        starts = times // _MINUTE_MS * _MINUTE_MS
        # A reader that kept up had a watermark of about the broker's clock.
        late = starts + _MINUTE_MS + bounds.lateness_ms <= message.broker_ms - _BEHIND_MS
        events |= {(project, start // 1000) for start in starts[~late].tolist()}
        receipts |= {(project, at // _MINUTE_MS * MINUTE) for at in received[received > 0].tolist()}
    if not rows:
        return Wanted()
    found = {bounds.outcome(start) for _, start in events | receipts}
    if found <= {COUNTED}:
        case.outcome = COUNTED if events else LATE
        case.minutes = events
        return Wanted(events, receipts, {(message.partition, message.offset)})
    case.outcome = OLD if OLD in found else OPEN
    return Wanted()
