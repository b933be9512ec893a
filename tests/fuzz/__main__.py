"""`python -m tests.fuzz --target collector|decoder|http|service|all --count N --seed S`.

Exits with 1 at the first violation, after a file with the reproduction was written.
"""

import argparse
import json
import logging
import os
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from tests.fuzz.report import Report, resident_mb_of, save
from tests.fuzz.runner import HANG_S, Case, Stopped, run

TARGETS = ("collector", "decoder", "http", "service")
SOCKETS = ("http", "service")  # thousands, not millions


def main(argv: Sequence[str] | None = None) -> int:
    """Run the targets one after the other."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--target", choices=(*TARGETS, "all"), default="all")
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="run this one input")
    parser.add_argument("--json", type=Path, help="figures to this file")
    parser.add_argument("--findings", type=Path, default=Path(".run/fuzz"))
    options = parser.parse_args(argv)
    logging.disable(logging.WARNING)  # what is refused is logged, some of it
    reports = []
    for target in TARGETS if options.target == "all" else (options.target,):
        count = min(options.count, 5_000) if target in SOCKETS else options.count
        report = Report(target, options.seed, 1 if options.only is not None else count)
        with ExitStack() as stack:
            case, pid = _case(target, stack)
            try:
                run(
                    report,
                    case,
                    first=options.only or 0,
                    memory=partial(resident_mb_of, pid),
                    clock=time.perf_counter if target in SOCKETS else time.thread_time,
                    hang_s=HANG_S,
                )
            except Stopped as stopped:
                where = save(options.findings, report, stopped.index, stopped.error)
                print(f"{stopped}\n  {where}", file=sys.stderr)
                return 1
        print(report.text(), flush=True)
        reports.append(report.data())
    if options.json:
        options.json.write_text(json.dumps(reports, indent=1))
    return 0


def _case(target: str, stack: ExitStack) -> tuple[Case, int]:
    """The case of a target, set up, and whose memory counts; the stack takes it down."""
    if target == "collector":
        from tests.fuzz.collector import CollectorTarget

        return stack.enter_context(CollectorTarget()).case, os.getpid()
    if target == "decoder":
        from tests.fuzz.decoder import DecoderTarget

        return DecoderTarget().case, os.getpid()
    from tests.fuzz import servers

    if target == "http":
        collector, pid = servers.collector(stack)
        return collector.case, pid
    service, pid = servers.service(stack)
    return service.case, pid


if __name__ == "__main__":
    sys.exit(main())
