"""Final minutes to the cold store, without the hot path waiting for it.

Minutes that are final or revised wait in keyed state, so a store that is away for an hour costs
state and nothing else: a checkpoint holds them, and they are written when it is back. A job that
restarts without state counts its open windows again, and writes them again: larger count wins.
"""

import logging
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any, Final

import apache_beam as beam
from apache_beam.coders import BytesCoder
from apache_beam.metrics import Metrics
from apache_beam.transforms import window
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import (
    BagStateSpec,
    ReadModifyWriteStateSpec,
    TimerSpec,
    on_timer,
)
from apache_beam.typehints import KV, Tuple
from apache_beam.utils.timestamp import Timestamp

from pipelines.patience import patiently
from stores import pane_codec
from stores.cold import open_cold
from stores.contract import ColdStore, StoreUnavailable
from stores.pane import FINAL, Grouping, Pane, is_history
from telemetry import metrics
from telemetry.endpoint import NOWHERE, Endpoint

SHARDS: Final = 4  # keys, so that minutes of many projects share an insert
FINAL_SECONDS: Final = 1.0  # that a final minute waits for the others of its moment
REVISED_SECONDS: Final = 10.0  # late data come in drops: a revised minute is no hurry
RETRY_SECONDS: Final = 5.0
MAX_WAITING: Final = 256 * 1024 * 1024  # bytes of a shard; then the bundle fails, loudly
WRITE_AT_ONCE: Final = 500  # panes

_Kept: Final = KV[str, Tuple[bool, bytes]]
_log = logging.getLogger(__name__)


def keyed(pane: Pane) -> tuple[str, tuple[bool, bytes]]:
    """A shard, whether the pane is an on-time one, and its bytes."""
    shard = str(zlib.crc32(pane.project.encode()) % SHARDS)
    return shard, (pane.status == FINAL, pane_codec.encode(pane))


def latest(panes: Iterable[Pane]) -> list[Pane]:
    """Of each window the pane with the most rows; of equal ones the one that came last."""
    kept: dict[tuple[str, Grouping, int], Pane] = {}
    for pane in panes:
        key = (pane.project, pane.grouping, pane.start)
        if key not in kept or pane.rows >= kept[key].rows:
            kept[key] = pane
    return list(kept.values())


def write(store: ColdStore, panes: Sequence[Pane]) -> int:
    """Write and measure; the rows sent. Raises StoreUnavailable."""
    began = time.perf_counter()
    try:
        rows = store.write(panes)
    except StoreUnavailable:
        metrics.JOB_RETRIES.inc("cold")
        raise
    finally:
        metrics.JOB_WRITE.observe(time.perf_counter() - began, "cold")
    metrics.JOB_WRITTEN.add(rows, "cold")
    metrics.JOB_PANES.add(len(panes), "cold")
    return rows


class Outbox(beam.DoFn):
    """`(shard, (on time, pane bytes))` to the store, gathered; yields nothing."""

    PANES = BagStateSpec("panes", BytesCoder())
    # Bytes waiting, and when the timer is due (unix seconds), as text.
    STATE = ReadModifyWriteStateSpec("state", BytesCoder())
    FLUSH = TimerSpec("flush", TimeDomain.REAL_TIME)

    def __init__(
        self,
        url: str,
        connect: Callable[[str], ColdStore | None] = open_cold,
        shown: Endpoint = NOWHERE,
    ) -> None:
        self._url = url
        self._connect = connect
        self._shown = shown
        self._store: ColdStore | None = None
        self._written = Metrics.counter("cold", "series_written")
        self._retries = Metrics.counter("cold", "retries")

    def setup(self) -> None:
        """A store that connects when it is first needed."""
        self._shown.open()
        self._store = self._connect(self._url)

    def teardown(self) -> None:
        """Let go of connections."""
        if self._store is not None:
            self._store.close()

    def process(
        self,
        element: tuple[str, tuple[bool, bytes]],
        panes: Any = beam.DoFn.StateParam(PANES),
        state: Any = beam.DoFn.StateParam(STATE),
        flush: Any = beam.DoFn.TimerParam(FLUSH),
    ) -> None:
        """Keep the pane, and see to it that it is written soon."""
        shard, (final, data) = element
        waiting, due = _read(state)
        if waiting + len(data) > MAX_WAITING:
            raise StoreUnavailable(f"{waiting:,} bytes wait for the cold store, which is the limit")
        panes.add(data)
        soon = time.time() + (FINAL_SECONDS if final else REVISED_SECONDS)
        if due == 0.0 or soon < due:
            flush.set(Timestamp(soon))
            due = soon
        _write(state, waiting + len(data), due)
        metrics.JOB_OUTBOX.set(waiting + len(data), int(shard))

    @on_timer(FLUSH)
    def write(
        self,
        shard: Any = beam.DoFn.KeyParam,
        panes: Any = beam.DoFn.StateParam(PANES),
        state: Any = beam.DoFn.StateParam(STATE),
        flush: Any = beam.DoFn.TimerParam(FLUSH),
    ) -> Iterator[None]:
        """Write all that wait; a store that is away is tried again in a while.

        Some at a time, so that after hours without the store not all of it is decoded at once, and
        nothing but the first of them while it is still away.
        """
        waiting, _ = _read(state)
        if self._store is not None:
            try:
                for some in _some(panes.read()):
                    held = latest(map(pane_codec.decode, some))
                    self._written.inc(write(self._store, held))
            except StoreUnavailable as error:
                _log.warning("cold store: %s; %s bytes wait", error, f"{waiting:,}")
                self._retries.inc()
                metrics.JOB_OUTBOX.set(waiting, int(shard))
                due = time.time() + RETRY_SECONDS
                flush.set(Timestamp(due))
                _write(state, waiting, due)
                return
        panes.clear()
        _write(state, 0, 0.0)
        metrics.JOB_OUTBOX.set(0, int(shard))
        yield from ()


class WriteCold(beam.DoFn):
    """Panes to the store at the end of each bundle, for bounded input. Retries, then fails."""

    def __init__(
        self,
        url: str,
        connect: Callable[[str], ColdStore | None] = open_cold,
        patience: float = 60.0,
    ) -> None:
        self._url = url
        self._connect = connect
        self._patience = patience  # seconds
        self._store: ColdStore | None = None
        self._panes: list[Pane] = []
        self._written = Metrics.counter("cold", "series_written")

    def setup(self) -> None:
        """See `Outbox`."""
        self._store = self._connect(self._url)

    def teardown(self) -> None:
        """Let go of connections."""
        if self._store is not None:
            self._store.close()

    def start_bundle(self) -> None:
        """Forget what a failed bundle had gathered."""
        self._panes = []

    def process(self, element: Pane) -> None:
        """Gather."""
        self._panes.append(element)
        if len(self._panes) >= WRITE_AT_ONCE:
            self.finish_bundle()

    def finish_bundle(self) -> None:
        """Write, waiting with backoff for a store that is away for a while."""
        if self._store is None or not self._panes:
            return
        tried = partial(self._write, self._store)
        patiently("cold store", tried, (StoreUnavailable,), seconds=self._patience, pause=0.2)
        self._panes = []

    def _write(self, store: ColdStore) -> None:
        """One try."""
        self._written.inc(write(store, self._panes))


class ToCold(beam.PTransform):
    """`Pane`s of minutes to the cold store at a URL."""

    def __init__(
        self,
        url: str,
        *,
        streaming: bool,
        connect: Callable[[str], ColdStore | None] = open_cold,
        shown: Endpoint = NOWHERE,
    ) -> None:
        super().__init__()
        self._url = url
        self._streaming = streaming
        self._connect = connect
        self._shown = shown

    def expand(self, panes: Any) -> Any:
        """Through an outbox when streaming."""
        cold = panes | "Closed" >> beam.Filter(is_history)  # pane
        if not self._streaming:
            return cold | "Write" >> beam.ParDo(WriteCold(self._url, self._connect))
        return (
            cold
            | "Key" >> beam.Map(keyed).with_output_types(_Kept)  # (shard, (final, bytes))
            | "Global" >> beam.WindowInto(window.GlobalWindows())
            | "Outbox" >> beam.ParDo(Outbox(self._url, self._connect, self._shown))
        )


def _some(data: Iterable[bytes]) -> Iterator[list[bytes]]:
    """WRITE_AT_ONCE at a time."""
    rest = iter(data)
    return iter(lambda: list(islice(rest, WRITE_AT_ONCE)), [])


def _read(state: Any) -> tuple[int, float]:
    """Bytes waiting, and when the timer is due (0: it is not set)."""
    data = state.read()
    if not data:
        return 0, 0.0
    waiting, due = data.decode().split()
    return int(waiting), float(due)


def _write(state: Any, waiting: int, due: float) -> None:
    state.write(f"{waiting} {due}".encode())
