"""A whole series: start the stack, play the rounds, seal, stop."""

import math
import time
from pathlib import Path

from tests.chaos import faults, report
from tests.chaos.rounds import LAST_LOOK, Round, Say, Series
from tests.chaos.sender import SENDERS
from tests.chaos.stack import AWAY, Stack


def play(
    folder: Path,
    kinds: list[str],
    rounds: int,
    seed: int,
    say: Say,
    json_file: Path | None = None,
    seconds: float = math.inf,
    *,
    away: float = AWAY,
    senders: int = SENDERS,
) -> list[Round]:
    """`rounds` rounds of `kinds` and the last look; the logs are below `folder`.

    No round begins after `seconds`. In an outage a part is `away` for so many seconds.
    """
    began = time.monotonic()
    results: list[Round] = []
    with Stack(folder, away) as stack:
        say(f"the stack is up after {time.monotonic() - began:.0f} s; logs in {folder}")
        series = Series(stack, seed, say, senders)

        def note(result: Round) -> None:
            results.append(result)
            for text in (report.line(result, rounds), *report.details(result)):
                say(text)
            if result.evidence:
                name = folder / f"round-{result.number}-events.txt"
                name.write_text("\n".join(result.evidence) + "\n")
            if json_file is not None:
                report.write(json_file, seed, results, series.record.counts())

        for number, kind in enumerate(faults.order(kinds, rounds, seed), 1):
            if time.monotonic() - began > seconds:
                say(f"{seconds / 60:.0f} minutes are over")
                break
            note(series.round(number, kind))
        note(series.seal())
        say(f"sent: {series.record.counts()}")
    for text in report.table([result for result in results if result.fault != LAST_LOOK]):
        say(text)
    return results
