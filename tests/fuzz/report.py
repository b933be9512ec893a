"""What a run counts, how a violation is kept, and the table at the end."""

import base64
import json
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

SLOWEST_S: Final = 1.0  # an input that takes longer breaks the invariant
QUARTERS: Final = (0, 25, 50, 75, 100)


class Violation(AssertionError):
    """An invariant that does not hold; says which, and carries what was sent."""

    def __init__(self, what: str, data: bytes = b"") -> None:
        super().__init__(what)
        self.data = data


@dataclass
class Report:
    """The figures of one run of one target."""

    target: str
    seed: int
    count: int
    done: int = 0
    seconds: float = 0.0
    outcomes: Counter[str] = field(default_factory=Counter)  # accepted, or a declared reason
    slowest_ms: float = 0.0
    slowest_index: int = -1
    rss_mb: dict[int, float] = field(default_factory=dict)  # per cent done → MB

    @property
    def rate(self) -> float:
        """Inputs a second."""
        return self.done / self.seconds if self.seconds else 0.0

    def text(self) -> str:
        """The table."""
        rss = ", ".join(f"{mb:.0f} MB at {at} %" for at, mb in sorted(self.rss_mb.items()))
        done = f"{self.target}: {self.done:,} inputs of seed {self.seed} in {self.seconds:.1f} s"
        lines = [
            f"{done}, {self.rate:,.0f} a second, no violation",
            f"  slowest {self.slowest_ms:.1f} ms (input {self.slowest_index}); memory {rss}",
        ]
        lines += [f"  {count:>9,}  {name}" for name, count in self.outcomes.most_common()]
        return "\n".join(lines)

    def data(self) -> dict[str, object]:
        """For `--json`."""
        return {**asdict(self), "outcomes": dict(self.outcomes), "rate": round(self.rate)}


def save(folder: Path, report: Report, index: int, error: Violation) -> Path:
    """Keep what reproduces a violation; the folder is made."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{report.target}-{report.seed}-{index}.json"
    content: Mapping[str, object] = {
        "target": report.target,
        "seed": report.seed,
        "index": index,
        "violation": str(error),
        "hex": error.data[:200].hex(),
        "base64": base64.b64encode(error.data).decode(),
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    path.write_text(json.dumps(content, indent=1))
    return path


def resident_mb() -> float:
    """This process's resident memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4_096 / 1e6


def resident_mb_of(pid: int) -> float:
    """Another process's resident memory; 0 when it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4_096 / 1e6
    except OSError:
        return 0.0
