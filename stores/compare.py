"""Do the hot and the cold store agree? Compares every number of every sealed minute.

python -m stores.compare --redis_url redis://… --history_url clickhouse://… --project demo

Prints each difference, and exits with 1 when there is one. A minute is sealed when the hot store
has it as final or revised; a difference counts when it is there again half a minute later, since a
revised minute takes some seconds to the cold store. Users are compared register by register.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stores.cold import open_cold
from stores.contract import (
    HAS_PARTIAL,
    HOUR,
    Ints,
    Reader,
    Slice,
    StoreUnavailable,
    TooMuch,
    Values,
    edges,
)
from stores.hot import HotStore, open_redis
from stores.hot_reads import HotReader
from stores.pane import GROUPING_SETS, MEASURES, MINUTE, SKETCHED

MARGIN: Final = 30  # seconds for a final or revised minute to reach the cold store
AT_ONCE: Final = HOUR  # seconds of all series that are in memory at a time


def differences(hot: Reader, cold: Reader, project: str, start: int, end: int) -> Iterator[str]:
    """A line for each number that the stores do not agree on, in sealed minutes of the range."""
    for low in range(start, end, AT_ONCE):
        cuts = edges(low, min(end, low + AT_ONCE), MINUTE)
        sealed = _sealed(hot, project, cuts)
        for grouping in GROUPING_SETS:
            ask = Slice(project, grouping, cuts, by=grouping)
            mine, other = _rows(hot, ask), _rows(cold, ask)
            nothing = np.zeros((ask.steps, len(MEASURES)), np.int64)
            for values in sorted(mine.keys() | other.keys()):
                a, b = mine.get(values, nothing), other.get(values, nothing)
                for step, column in np.argwhere((a != b) & sealed[:, None]).tolist():
                    where = f"{cuts[step]} {_named(grouping, values)} {MEASURES[column]}"
                    yield f"{where}: hot {a[step, column]}, cold {b[step, column]}"
        yield from _unions(hot, cold, project, cuts, sealed)


def _unions(
    hot: Reader, cold: Reader, project: str, cuts: tuple[int, ...], sealed: NDArray[np.bool_]
) -> Iterator[str]:
    """The same for unions: minutes of the total, whole hours of single dimensions."""
    for grouping in SKETCHED:
        steps = cuts
        if grouping:
            if cuts[0] % HOUR or cuts[-1] % HOUR or not sealed.all():
                continue
            steps = (cuts[0], cuts[-1])
        ask = Slice(project, grouping, steps, by=grouping)
        mine, other = hot.users(ask), cold.users(ask)
        for values, step in sorted(mine.keys() | other.keys()):
            if not grouping and not sealed[step]:
                continue
            a, b = mine.get((values, step)), other.get((values, step))
            if a is None or b is None or not np.array_equal(a, b):
                yield f"{steps[step]} {_named(grouping, values)} users: not the same registers"


def _sealed(hot: Reader, project: str, cuts: tuple[int, ...]) -> NDArray[np.bool_]:
    """Which minutes nothing is expected for any more; also those without any row."""
    sealed: NDArray[np.bool_] = hot.completeness(project, cuts) & HAS_PARTIAL == 0
    return sealed


def _rows(store: Reader, ask: Slice) -> dict[Values, Ints]:
    found = store.counts(ask)
    return dict(zip(found.series, found.measures, strict=True))


def _named(grouping: Sequence[str], values: Values) -> str:
    return ",".join(f"{d}:{v}" for d, v in zip(grouping, values, strict=True)) or "total"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: 0 when the stores agree, 1 when not, 2 when one cannot be asked."""
    parser = argparse.ArgumentParser(prog="python -m stores.compare", description=__doc__)
    parser.add_argument("--redis_url", default="redis://127.0.0.1:6380/0")
    parser.add_argument("--history_url", default="clickhouse://reader@127.0.0.1:8123/streamlens")
    parser.add_argument("--project", default="demo")
    parser.add_argument("--minutes", type=int, default=60, help="how far back; default 60")
    chosen = parser.parse_args(arguments)
    end = int(time.time() - MARGIN) // MINUTE * MINUTE
    start = end - chosen.minutes * MINUTE
    try:
        cold = open_cold(chosen.history_url)
        if cold is None:
            parser.error("--history_url is empty")
        hot = HotReader(HotStore(open_redis(chosen.redis_url)))
        with closing(cold):
            found = list(differences(hot, cold, chosen.project, start, end))
            if found:
                time.sleep(MARGIN)
                again = set(differences(hot, cold, chosen.project, start, end))
                found = [line for line in found if line in again]
            total = hot.counts(Slice(chosen.project, (), (start, end)))
    except (StoreUnavailable, TooMuch, ValueError) as error:
        print(f"stores.compare: {error}", file=sys.stderr)
        return 2
    for line in found:
        print(line)
    rows = int(total.measures[:, :, 0].sum())
    print(f"{chosen.minutes} minutes, {rows:,} rows in the hot store: {len(found)} differences")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
