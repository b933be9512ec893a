"""Where results go: the hot store, and the topic of dead letters."""

import logging
import time
from collections.abc import Iterable
from functools import partial
from typing import Any, Final

import apache_beam as beam
import redis
from apache_beam.metrics import Metrics
from confluent_kafka import Producer

from events import letters
from pipelines.patience import patiently
from pipelines.rewrites import Rewrites
from pipelines.sources import Progress
from stores.hot import HotStore, open_redis
from stores.pane import Pane
from telemetry import metrics
from telemetry.endpoint import NOWHERE, Endpoint
from transforms.decode import DeadLetter

_log = logging.getLogger(__name__)
_PATIENCE: Final = 60.0  # seconds that a store may be away before the bundle fails
_AWAY: Final = (redis.ConnectionError, redis.TimeoutError)
_FLUSH: Final = 15.0
CLOCK_AHEAD: Final = 60  # seconds, see events.clock


_rewrites: Final[dict[str, Rewrites]] = {}  # of this process, by the store's URL


def connect(url: str) -> HotStore:
    """The hot store at a Redis URL, with time limits on every call."""
    return HotStore(open_redis(url))


def rewrites(url: str) -> Rewrites:
    """What this process wrote to a store lately, whichever of its sinks did."""
    return _rewrites.setdefault(url, Rewrites())


def tell_stopped(url: str, why: str) -> None:
    """The hot store knows why there is no heartbeat. Without the store nobody looks there."""
    try:
        connect(url).stop(time.time(), why)
    except _AWAY as error:
        _log.warning("the hot store was not told that the job stopped: %s", error)


class WriteHot(beam.DoFn):
    """Panes to the hot store, one write per bundle. Larger count wins, so a retry is harmless.

    A store that has lost its last writes gets them again, see `pipelines.rewrites`.
    """

    def __init__(self, url: str, shown: Endpoint = NOWHERE) -> None:
        self._url = url
        self._shown = shown
        self._store: HotStore | None = None
        self._panes: list[Pane] = []
        self._written = Metrics.counter("hot", "series_written")
        self._panes_in = Metrics.counter("hot", "panes")

    def setup(self) -> None:
        """Connect lazily; the client reconnects by itself."""
        self._shown.open()
        self._store = connect(self._url)

    def start_bundle(self) -> None:
        """Forget what a failed bundle had gathered."""
        self._panes = []

    def process(self, element: Pane) -> None:
        """Gather."""
        self._panes.append(element)

    def finish_bundle(self) -> None:
        """Write all panes, waiting with backoff for a store that is away for a while."""
        if self._store is None or not self._panes:
            return
        write = partial(self._write, self._store)
        patiently("hot store", write, _AWAY, seconds=_PATIENCE, pause=0.1)
        self._panes = []

    def _write(self, store: HotStore) -> None:
        """One try."""
        began = time.perf_counter()
        try:
            written = rewrites(self._url).write(store, self._panes)
        except _AWAY:
            metrics.JOB_RETRIES.inc("hot")
            raise
        finally:
            metrics.JOB_WRITE.observe(time.perf_counter() - began, "hot")
        self._written.inc(written)
        self._panes_in.inc(len(self._panes))
        metrics.JOB_WRITTEN.add(written, "hot")
        metrics.JOB_PANES.add(len(self._panes), "hot")


class Heartbeat(beam.DoFn):
    """Readers' progress to the hot store, at most once a second each: the job is alive.

    The first word of a reader without restored state says since when the store has everything: an
    event may carry a clock a minute ahead of the broker's.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._store: HotStore | None = None
        self._last: dict[tuple[int, ...], float] = {}  # by reader

    def setup(self) -> None:
        """Connect lazily."""
        self._store = connect(self._url)

    def process(self, element: Progress) -> None:
        """Beat. A store that is away is `WriteHot`'s concern, and shows as a missing beat."""
        now = time.time()
        since = None if element.since_ms is None else element.since_ms // 1000 + CLOCK_AHEAD
        lost = None if element.lost_since is None else int(element.lost_since)
        news = since is not None or lost is not None
        last = self._last.get(element.partitions, 0.0)
        if self._store is None or (not news and now - last < 1.0):
            return
        self._last[element.partitions] = now
        try:
            self._store.beat(now, since, lost)
            self._store.note_watermark(element.partitions, element.watermark_ms, now)
            rewrites(self._url).check(self._store)  # also when there is nothing to write
        except _AWAY as error:
            _log.warning("heartbeat: %s", error)


class ProduceDeadLetters(beam.DoFn):
    """Dead letters to their topic, in the form of `events.letters`; the reason in a header too."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._bootstrap = bootstrap
        self._topic = topic
        self._producer: Any = None
        self._failed: list[str] = []

    def setup(self) -> None:
        """An idempotent producer."""
        self._producer = Producer(
            {"bootstrap.servers": self._bootstrap, "enable.idempotence": True, "log_level": 3}
        )

    def process(self, element: DeadLetter) -> None:
        """Produce one; waits while the local queue is full."""
        letter = element.letter(int(time.time() * 1000))
        while True:
            try:
                self._producer.produce(
                    self._topic,
                    letters.encode(letter),
                    key=letter.key,
                    headers=[("reason", letter.reason.encode())],
                    on_delivery=self._delivered,
                )
                return
            except BufferError:
                self._producer.poll(0.5)

    def finish_bundle(self) -> None:
        """All are on the broker, or the bundle fails and is done again."""
        left = self._producer.flush(_FLUSH)
        failed, self._failed = self._failed, []
        if left or failed:
            raise RuntimeError(f"{left} dead letters unsent, {len(failed)} refused: {failed[:1]}")

    def teardown(self) -> None:
        """Give away what a bundle that failed had found: whoever looks for why will want it."""
        if self._producer is not None:
            self._producer.flush(_FLUSH)

    def _delivered(self, error: Any, _: Any) -> None:
        if error is not None:
            self._failed.append(str(error))


class LogDeadLetters(beam.DoFn):
    """Dead letters of a backfill: one line each in the log, and a count."""

    def __init__(self) -> None:
        self._count = Metrics.counter("events", "dead_lettered")

    def process(self, element: DeadLetter) -> Iterable[Any]:
        """Say it."""
        self._count.inc()
        _log.warning("dead letter: %s: %s", element.reason, element.detail)
        return ()
