"""The loop: inputs by seed and index, time and memory of each, and what stops it."""

import faulthandler
import random
import time
from collections.abc import Callable, Iterable
from typing import Final

from tests.fuzz.report import QUARTERS, SLOWEST_S, Report, Violation, resident_mb

# Runs the case and names its outcome (or its outcomes). Raises Violation.
Case = Callable[[random.Random, int], "str | Iterable[str]"]

HANG_S: Final = 60  # then the process ends, with the stack


class Stopped(AssertionError):
    """A run that met a violation; `report` has its figures so far."""

    def __init__(self, report: Report, index: int, error: Violation) -> None:
        super().__init__(
            f"{report.target}, seed {report.seed}, input {index}: {error} "
            f"(python -m tests.fuzz --target {report.target} --seed {report.seed} --only {index})"
        )
        self.report = report
        self.index = index
        self.error = error


def generator(seed: int, index: int) -> random.Random:
    """The random generator of one case."""
    return random.Random(seed << 32 | index)


def run(
    report: Report,
    case: Case,
    *,
    first: int = 0,
    slowest_s: float = SLOWEST_S,
    memory: Callable[[], float] = resident_mb,
    clock: Callable[[], float] = time.perf_counter,
    hang_s: float | None = None,
) -> Report:
    """Run `report.count` cases. Raises `Stopped` at the first violation.

    `clock` times a case: `time.thread_time` for what runs in this thread, on a busy machine too.
    """
    marks = {first + report.count * at // 100: at for at in QUARTERS}
    began = time.perf_counter()
    for index in range(first, first + report.count):
        if index in marks:
            report.rss_mb[marks[index]] = memory()
        if hang_s is not None and index % 1_000 == 0:
            faulthandler.dump_traceback_later(hang_s, exit=True)
        started = clock()
        try:
            outcome = case(generator(report.seed, index), index)
            took = clock() - started
            if took > slowest_s:
                raise Violation(f"took {took:.2f} s")
        except Violation as error:
            faulthandler.cancel_dump_traceback_later()
            report.seconds = time.perf_counter() - began
            raise Stopped(report, index, error) from error
        for name in (outcome,) if isinstance(outcome, str) else outcome:
            report.outcomes[name] += 1
        report.done += 1
        if took * 1_000 > report.slowest_ms:
            report.slowest_ms, report.slowest_index = took * 1_000, index
    faulthandler.cancel_dump_traceback_later()
    report.seconds = time.perf_counter() - began
    report.rss_mb[100] = memory()
    return report
