"""The table of engines, as Markdown: medians over rounds, each figure also as a ratio of ours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.peers.measure import Measured


@dataclass(frozen=True)
class Run:
    """One engine, one round. `wrong`: where its result is not the truth; nothing when exact."""

    engine: str
    round: int
    events: int
    measured: Measured
    wrong: tuple[str, ...] = ()

    @property
    def per_second(self) -> float:
        """Events per second of wall time."""
        return self.events / self.measured.wall_s

    @property
    def core_seconds(self) -> float:
        """Processor time of the engine and where it keeps results: of all but the broker."""
        return sum(s for part, s in self.measured.cpu_s.items() if part != "kafka")

    @property
    def per_core_second(self) -> float:
        """Events per second of processor time."""
        return self.events / max(self.core_seconds, 1e-9)


@dataclass(frozen=True)
class Row:
    """One engine over all rounds; `failed` says why there are no runs."""

    engine: str
    version: str
    form: str
    runs: tuple[Run, ...] = ()
    failed: str = ""

    @property
    def exact(self) -> bool:
        """Whether every run was."""
        return bool(self.runs) and not any(run.wrong for run in self.runs)


def between(short: Run, long: Run) -> Run:
    """What the events took that the long run had more: fixed costs of both cancel out.

    Raises ValueError when the short run took as long: noise, which says nothing of an event.
    """
    wall = long.measured.wall_s - short.measured.wall_s
    cpu = {part: s - short.measured.cpu_s[part] for part, s in long.measured.cpu_s.items()}
    measured = Measured(long.measured.start_s, wall, cpu, long.measured.peak_mb)
    more = long.events - short.events
    made = Run(long.engine, long.round, more, measured, short.wrong + long.wrong)
    if more <= 0 or wall <= 0 or made.core_seconds <= 0:
        raise ValueError(f"{short.events:,} events took as long as {long.events:,}")
    return made


def ratios(ours: Row, row: Row) -> list[float]:
    """Events per core-second, ours to theirs, of the rounds in which both ran."""
    theirs = {run.round: run.per_core_second for run in row.runs}
    return [run.per_core_second / theirs[run.round] for run in ours.runs if run.round in theirs]


def markdown(rows: Sequence[Row], ours: Sequence[str]) -> str:
    """Engines from top to bottom; the columns of ratios are those of the engines in `ours`."""
    by_name = {row.engine: row for row in rows}
    columns = [by_name[name] for name in ours if name in by_name]
    heads = (
        "engine", "version", "input", "events/s", "events per core-second", "peak MB",
        *(f"{row.engine} is × of it" for row in columns), "exact",
    )  # fmt: skip
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for row in rows:
        if not row.runs:
            cells = [row.engine, row.version, row.form, f"not run: {row.failed}"]
            cells += [""] * (len(heads) - len(cells))
        else:
            cells = [
                row.engine,
                row.version,
                row.form,
                spread([run.per_second / 1000 for run in row.runs], "k"),
                spread([run.per_core_second / 1000 for run in row.runs], "k"),
                str(max(sum(peaks(run.measured.peak_mb)) for run in row.runs)),
                *(spread(ratios(column, row)) for column in columns),
                ("yes" if row.exact else "NO") + (f"; then {row.failed}" if row.failed else ""),
            ]
        lines.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    return "\n".join(lines)


def peaks(peak_mb: Mapping[str, int]) -> list[int]:
    """Of the parts that count as the engine."""
    return [size for part, size in peak_mb.items() if part != "kafka"]


def spread(values: Sequence[float], unit: str = "") -> str:
    """Median, and from least to most in brackets when there are several."""
    if not values:
        return ""
    middle = number(median(values)) + unit
    if len(values) == 1:
        return middle
    return f"{middle} ({number(min(values))}{unit}–{number(max(values))}{unit})"


def number(value: float) -> str:
    """Two significant digits at least, no more than one decimal from 10 on."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
