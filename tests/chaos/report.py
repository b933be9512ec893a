"""What came of a series: one line per round while it runs, and a summary at its end."""

import json
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.chaos.rounds import LAST_LOOK, Round

SHOWN = 30  # differences of a round on the screen; the file has all


def line(result: Round, rounds: int) -> str:
    """One round in one line."""
    if result.fault == LAST_LOOK:
        return f"the last look, every minute sealed: {_verdict(result)} in {result.seconds:.0f} s"
    recovery = "-" if result.recovery is None else f"{result.recovery:.1f} s"
    return (
        f"{result.number}/{rounds} {result.fault}: {_verdict(result)}, recovery {recovery},"
        f" {result.events:,} events ({result.unknown_came} of {result.unknown} without an answer"
        f" came), {result.seconds:.0f} s, seed {result.seed} ({result.done})"
    )


def _verdict(result: Round) -> str:
    return f"{len(result.differences)} NEW DIFFERENCES" if result.differences else "exact"


def details(result: Round) -> list[str]:
    """What differs, as far as it fits a screen."""
    more = len(result.differences) - SHOWN
    rest = [f"  … and {more} more"] if more > 0 else []
    return [f"  {text}" for text in result.differences[:SHOWN]] + rest


def by_kind(results: Sequence[Round]) -> dict[str, dict[str, Any]]:
    """Per kind of fault: rounds, rounds with differences, recovery in seconds."""
    kinds: dict[str, list[Round]] = defaultdict(list)
    for result in results:
        kinds[result.fault].append(result)
    found: dict[str, dict[str, Any]] = {}
    for kind, rounds in sorted(kinds.items()):
        times = [result.recovery for result in rounds if result.recovery is not None]
        found[kind] = {
            "rounds": len(rounds),
            "with_differences": sum(bool(result.differences) for result in rounds),
            "recovery_p50": round(statistics.median(times), 1) if times else None,
            "recovery_max": round(max(times), 1) if times else None,
        }
    return found


def table(results: Sequence[Round]) -> list[str]:
    """The same for people."""
    lines = [f"{'fault':20} rounds  differ  recovery p50   max (s)"]
    for kind, row in by_kind(results).items():
        times = f"{row['recovery_p50'] or '-':>12} {row['recovery_max'] or '-':>9}"
        lines.append(f"{kind:20} {row['rounds']:6}  {row['with_differences']:6}  {times}")
    return lines


def write(path: Path, seed: int, results: Sequence[Round], counts: Mapping[str, int]) -> None:
    """Everything as JSON."""
    content = {
        "seed": seed,
        "kinds": by_kind([result for result in results if result.fault != LAST_LOOK]),
        "sent": dict(counts),
        "rounds": [asdict(result) for result in results],
    }
    path.write_text(json.dumps(content, indent=1) + "\n")
