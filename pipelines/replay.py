"""Counts what was dead, after a fix. `python -m pipelines.replay --help`.

Reads dead letters, goes back to each original in the log, and decodes it with the code of this
checkout. What is good now is counted: its minutes anew from the log (`pipelines.recount`), with
absolute values of which the larger wins. Nothing is produced to the topic of events, so nothing can
be counted twice: not by a second run, not by two letters about one line, not after a `kill -9`, and
not by a job that has the fix and reads the log again. Run it as often as you like.

Each letter ends as one of OUTCOMES (`pipelines.verdicts`). Exit codes: 0 every letter that was
looked at is counted, now or before; 1 it could not be done (a store or the broker is away: run it
again); 2 an option is wrong; 3 some letters are left, as the table says.
"""

import argparse
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import redis

from events.reasons import MESSAGE_REASONS
from pipelines import breaker, outbox, sinks, sources
from pipelines import main as job
from pipelines.log_reader import (
    BrokerError,
    LogSettings,
    read_offsets,
    read_range,
    spans_of,
)
from pipelines.options import StreamOptions
from pipelines.raw import StoreEvents
from pipelines.recount import Minute, Recount, Wanted, beginning, is_ledger, recount
from pipelines.verdicts import (
    BEFORE,
    COUNTED,
    MEANING,
    OLD,
    OUTCOMES,
    Bounds,
    Case,
    Cases,
    Choice,
    gather,
    judge,
)
from stores.cold import open_cold, open_events
from stores.contract import DAY, ColdStore, Slice, StoreUnavailable
from stores.hot import HotStore
from stores.pane import MINUTE
from telemetry import logs
from transforms.decode import Message

DONE, LEFT = 0, 3
FAILED, WRONG = 1, 2
MAX_MINUTES: Final = 2_000  # of projects, that are counted again at once: they are held in memory
SKEW_MS: Final = 600_000  # of the clocks of workers, which stamp letters
PANES_AT_ONCE: Final = 50


class Stores:
    """What the stores hold of a minute, and how more gets there. All of them may be away."""

    def __init__(self, hot: HotStore, cold: ColdStore | None, raw: StoreEvents | None) -> None:
        self._hot = hot
        self._cold = cold
        self.raw = raw

    def held(self, project: str, minute: int, now: float) -> int:
        """Rows of a minute in the store that has fewest of them. StoreUnavailable, RedisError."""
        found = []
        if minute > now - DAY:
            found.append(int(self._hot.series(project, (), (), minute, minute + MINUTE)[0, 0]))
        if self._cold is not None:
            counts = self._cold.counts(Slice(project, (), (minute, minute + MINUTE)))
            found.append(int(counts.measures[:, :, 0].sum()))
        return min(found, default=0)

    def write(self, found: Recount) -> None:
        """Absolute values to all of them; may be done again. StoreUnavailable, RedisError."""
        for first in range(0, len(found.panes), PANES_AT_ONCE):
            panes = found.panes[first : first + PANES_AT_ONCE]
            self._hot.write(panes)
            history = [pane for pane in panes if not is_ledger(pane)]
            if self._cold is not None and history:
                outbox.write(self._cold, history)


@dataclass(frozen=True)
class Result:
    """What became of the letters."""

    cases: list[Case]
    strange: int = 0  # messages on the topic of letters that are none
    messages: int = 0  # read again
    minutes: int = 0  # counted again
    events: int = 0  # that this added

    @property
    def code(self) -> int:
        """The exit code."""
        return DONE if all(case.outcome in (COUNTED, BEFORE) for case in self.cases) else LEFT


def replay(
    read: sources.ReadSettings,
    letters_log: LogSettings,
    choice: Choice,
    stores: Stores,
    bounds: Callable[[int], Bounds],
    *,
    dry_run: bool = False,
    now: float | None = None,
) -> Result:
    """Look at the letters, and count what is good. Raises BrokerError and what stores raise.

    `bounds` is told from when on the log is whole.
    """
    cases, strange = gather(_all(letters_log, choice.since_ms), read.log.topic, choice)
    spans = spans_of(read.log)
    limits_ = bounds(beginning(read.log, spans))
    reader = sources.ReadKafka(read)
    wanted = Wanted()
    for message in _originals(read.log, cases, spans):
        decoded = reader.decode(message)
        for case in cases[message.partition, message.offset].values():
            wanted.add(judge(case, message, decoded, limits_))
    flat = [case for mine in cases.values() for case in mine.values()]
    if len(wanted.minutes) > MAX_MINUTES:
        raise ValueError(
            f"{len(wanted.minutes):,} minutes at once, over {MAX_MINUTES:,}: choose with --since, "
            "--until, --project"
        )
    if dry_run or not (wanted.minutes or wanted.receipts):
        return Result(flat, strange, minutes=len(wanted.minutes))
    ends = {partition: end for partition, (_, end) in spans.items()}
    found = recount(read, wanted, ends, stores.raw)
    moment = time.time() if now is None else now
    rows = found.rows()
    before = {minute: stores.held(*minute, moment) for minute in wanted.minutes}
    stores.write(found)
    for case in flat:
        if case.outcome == COUNTED:
            case.outcome = _settled(case, rows, before)
    added = sum(max(0, rows.get(minute, 0) - held) for minute, held in before.items())
    return Result(flat, strange, found.messages, len(wanted.minutes), added)


def _settled(case: Case, rows: Mapping[Minute, int], before: Mapping[Minute, int]) -> str:
    """Whether this run made a difference. A store that has more than the log is left as it is."""
    if any(before[minute] > rows.get(minute, 0) for minute in case.minutes):
        return OLD
    changed = any(before[minute] < rows.get(minute, 0) for minute in case.minutes)
    return COUNTED if changed else BEFORE


def _all(log: LogSettings, since: int) -> Iterator[Message]:
    """The topic of letters as it is now. A letter comes after what it is about, by any clock."""
    for partition, (_, end) in spans_of(log).items():
        yield from read_range(log, partition, since_ms=max(0, since - SKEW_MS), before=end)


def _originals(
    log: LogSettings, cases: Cases, spans: Mapping[int, tuple[int, int]]
) -> Iterator[Message]:
    """The messages that letters are about, as far as they are still there."""
    places: dict[int, list[int]] = defaultdict(list)
    for partition, offset in sorted(cases):
        low, high = spans.get(partition, (0, 0))
        if low <= offset < high:
            places[partition].append(offset)
    for partition, offsets in places.items():
        yield from read_offsets(log, partition, offsets, spans[partition][1])


def table(result: Result, *, dry_run: bool) -> str:
    """By reason, how many letters ended as what; and what the outcomes mean that occurred."""
    by_reason: dict[str, Counter[str]] = defaultdict(Counter)
    for case in result.cases:
        by_reason[case.reason][case.outcome] += 1
    lines = [f"{'reason':<28} {'letters':>9} " + " ".join(f"{name:>9}" for name in OUTCOMES)]
    for reason, counts in sorted(by_reason.items()):
        numbers = " ".join(f"{counts[name]:>9,}" for name in OUTCOMES)
        lines.append(f"{reason:<28} {counts.total():>9,} {numbers}")
    lines.append("")
    occurred = {case.outcome for case in result.cases}
    lines += [f"{name}: {MEANING[name]}." for name in OUTCOMES if name in occurred]
    if dry_run:
        lines.append(f"Would count {result.minutes:,} minutes again. Nothing was written.")
    else:
        lines.append(
            f"{result.events:,} events added, in {result.minutes:,} minutes counted again from "
            f"{result.messages:,} messages."
        )
    if result.strange:
        lines.append(f"{result.strange:,} messages on the topic are no letters of this version.")
    return "\n".join(lines)


def parser() -> argparse.ArgumentParser:
    """Its own options; the job's come on top."""
    made = argparse.ArgumentParser(
        prog="python -m pipelines.replay",
        description="Counts what was dead, after a fix: goes from each dead letter to its original "
        "in the log, and counts what can be decoded now. May be run twice, and killed.",
        epilog="Give it the options of the job too (python -m pipelines.main --help): "
        "--kafka_bootstrap, --topic, --dead_letter_topic, --redis_url, --history_url, "
        "--raw_events, --json_project, --currency, --allowed_lateness, --max_series. Exit codes: "
        "0 all letters are counted, 1 a store or the broker is away, 2 an option is wrong, "
        "3 some are left.",
    )
    moment = "ISO time with zone; by when the broker had the original."
    made.add_argument("--since", type=_moment, default=0, help=f"Only letters from here: {moment}")
    made.add_argument("--until", type=_moment, default=1 << 62, help=f"Only before: {moment}")
    made.add_argument("--reason", choices=sorted(MESSAGE_REASONS), help="Only of this reason.")
    made.add_argument("--project", help="Only of this project (of those whose letters name one).")
    made.add_argument("--partition", type=int, help="Only of this partition of the topic.")
    made.add_argument(
        "--dry_run", action="store_true", help="Say what would happen; write nothing."
    )
    return made


def _moment(text: str) -> int:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text!r} names no time zone")
    return int(at.timestamp() * 1000)


def _options(arguments: Sequence[str]) -> StreamOptions:
    """The job's options. Raises ValueError for one that it does not have."""
    _, unknown = StreamOptions.parser().parse_known_args(arguments)
    if unknown:
        raise ValueError(f"no such option: {unknown[0]}")
    return job.parse(arguments)


def main(argv: Sequence[str] | None = None) -> int:
    """Run it. Returns the exit code."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    mine, rest = parser().parse_known_args(arguments)
    try:
        options = _options(rest)
    except ValueError as error:
        print(f"pipelines.replay: {error}", file=sys.stderr)
        return WRONG
    logs.configure(options.log_format)
    read = job.settings(options, start_ms=0)
    hot = sinks.connect(options.redis_url)
    cold = open_cold(options.history_url)
    raw = StoreEvents(read, options.history_url, open_events) if options.raw_events else None
    choice = Choice(mine.since, mine.until, mine.reason, mine.project, mine.partition)
    now = time.time()

    def bounds(log_ms: int) -> Bounds:
        marks = hot.watermarks(now)
        whole = marks and set(marks) >= set(spans_of(read.log))
        kept = 0 if cold is not None else int((now - DAY) * 1000)
        counted = min(marks.values()) if whole else 0
        return Bounds(log_ms, kept, counted, options.allowed_lateness * 1000)

    try:
        if raw is not None:
            raw.connect()
        result = replay(
            replace(read, limit=breaker.OFF),
            replace(read.log, topic=options.dead_letter_topic),
            choice,
            Stores(hot, cold, raw),
            bounds,
            dry_run=mine.dry_run,
        )
    except ValueError as error:
        print(f"pipelines.replay: {error}", file=sys.stderr)
        return WRONG
    except (BrokerError, StoreUnavailable, redis.RedisError) as error:
        print(f"pipelines.replay: {error}; nothing is lost, run it again", file=sys.stderr)
        return FAILED
    finally:
        if cold is not None:
            cold.close()
        if raw is not None:
            raw.teardown()
    print(table(result, dry_run=mine.dry_run))
    return result.code


if __name__ == "__main__":
    sys.exit(main())
