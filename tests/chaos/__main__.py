"""`python -m tests.chaos --rounds N --seed S`: exits with 1 when any number was wrong."""

import argparse
import math
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.chaos.faults import KINDS, OUTAGES
from tests.chaos.sender import SENDERS
from tests.chaos.series import play
from tests.chaos.stack import AWAY


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1, help="of traffic and of faults")
    known = KINDS | OUTAGES
    parser.add_argument("--faults", default=",".join(KINDS), help=f"of {', '.join(known)}")
    parser.add_argument("--away", type=float, default=AWAY, help="seconds of an outage")
    parser.add_argument("--senders", type=int, default=SENDERS, help="each sends ~20 events/s")
    parser.add_argument("--json", type=Path, help="write what came of it here, round by round")
    parser.add_argument("--folder", type=Path, help="for data and logs; kept. Else a temporary one")
    parser.add_argument("--minutes", type=float, help="begin no round after so many")
    chosen = parser.parse_args(arguments)
    kinds = [kind for kind in chosen.faults.split(",") if kind]
    if strange := set(kinds) - set(known):
        parser.error(f"--faults: no such kind: {', '.join(sorted(strange))}")
    folder = chosen.folder or Path(tempfile.mkdtemp(prefix="streamlens-chaos-"))
    folder.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # stops the stack on its way
    seconds = math.inf if chosen.minutes is None else chosen.minutes * 60
    results = play(
        folder,
        kinds,
        chosen.rounds,
        chosen.seed,
        _say,
        chosen.json,
        seconds,
        away=chosen.away,
        senders=chosen.senders,
    )
    failed = [result for result in results if result.differences]
    if failed:
        _say(f"{len(failed)} rounds with differences; logs are kept in {folder}")
        return 1
    if chosen.folder is None:
        shutil.rmtree(folder)
    return 0


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
