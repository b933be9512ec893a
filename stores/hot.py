"""The hot store: the last day's aggregates in Redis or Valkey. Layout in `stores.layout`.

Larger count wins: one script per pane compares each record's `rows` with what is stored and writes
only what is larger. So writing is idempotent and commutative, whatever is retried or replayed.
Sketches are unions (PFMERGE), which are so by themselves. A 24-hour series is one GETRANGE or two.
A minute's completeness comes from the pane with the most rows; among equals FINAL wins, then
REVISED: an on-time pane with the same count proves that nothing came after it.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar, cast

import numpy as np
import redis
from numpy.typing import NDArray

from events import sketch
from stores import hot_calls, layout
from stores.contract import DAY, HOUR
from stores.hot_calls import LiveRows, LiveSlice
from stores.hot_scripts import UNION, WRITE
from stores.layout import RECORD
from stores.pane import ACTIVE, FINAL, KEEP_ACTIVE, MINUTE, PULSE, Grouping, Pane

Values = tuple[str, ...]
Ints = NDArray[np.int64]
_Answer = TypeVar("_Answer")

KEEP: Final = 26 * HOUR  # after the end of the day that a key belongs to
KEEP_SHORT: Final = 600  # after the end of the ten minutes that pulses are kept in
KEEP_LOST: Final = 15  # after a reader's last word that it gets no answer
HEARD: Final = 30  # seconds for which a reader's word on where it stands holds
SERIES_PER_CALL: Final = 500  # bounds how long one script runs
MAX_SERIES_PER_DAY: Final = 2_000  # per project, width and grouping set; the rest is `other`
# Of those, how many have sketches: 12 KB each, a dimension's 26 hours and 10 windows.
MAX_SKETCHED_PER_DAY: Final = 500


def open_redis(url: str) -> Any:
    """A Redis client with time limits on every call; connects at the first one, and again."""
    return redis.Redis.from_url(url, socket_timeout=10, socket_connect_timeout=5)


class Unique(NamedTuple):
    """Distinct users, estimated; `error` is the standard error in users."""

    users: int
    error: float


class HotStore:
    """Reads and writes the hot store of all projects through one Redis client."""

    def __init__(
        self,
        client: Any,
        max_series: int = MAX_SERIES_PER_DAY,
        max_sketched: int = MAX_SKETCHED_PER_DAY,
    ) -> None:
        self._redis = client
        self._max_series = max_series
        self._max_sketched = max_sketched
        self._write = client.register_script(WRITE)
        self._union = client.register_script(UNION)

    def write(self, panes: Sequence[Pane]) -> int:
        """Write absolute values; returns how many series' records were larger than the stored.

        Raises `redis.RedisError`; whatever was written by then may be written again.
        """
        calls = []
        full = self._full([pane for pane in panes if len(pane.sketch)])
        blobs = _Blobs()
        for pane in panes:
            if pane.width != ACTIVE:
                calls += self._record_calls(pane)
            if len(pane.sketch):
                calls += self._sketch_calls(pane, full.get(_admitted(pane)), blobs)
        replies = self._run(calls)
        self._announce(panes)
        return sum(
            reply
            for (script, _, _), reply in zip(calls, replies, strict=True)
            if script is self._write
        )

    def count_write(self, writer: str) -> int:
        """One more write of this writer; how many of its writes the store remembers.

        Called after `write`: a number no larger than one before says that writes were lost since.
        """
        pipe = self._redis.pipeline(transaction=False)
        pipe.incr(layout.writes_key(writer))
        pipe.expire(layout.writes_key(writer), DAY)
        return int(pipe.execute()[0])

    def series(
        self,
        project: str,
        grouping: Grouping,
        values: Values,
        start: int,
        end: int,
        width: int = MINUTE,
    ) -> Ints:
        """`MEASURES` of each window from `start` to `end` (epoch seconds, exclusive): [n, 7]."""
        return self.many(project, grouping, [values], start, end, width)[0]

    def many(
        self,
        project: str,
        grouping: Grouping,
        series: Sequence[Values],
        start: int,
        end: int,
        width: int = MINUTE,
    ) -> list[Ints]:
        """`series` for several series at once, in one round trip."""
        return self._ask(
            lambda pipe: hot_calls.many(pipe, project, grouping, series, start, end, width)
        )

    def status(self, project: str, start: int, end: int) -> NDArray[np.uint8]:
        """Completeness of each minute: NONE, PARTIAL, FINAL or REVISED."""
        return self._ask(lambda pipe: hot_calls.status(pipe, project, start, end))

    def members(self, project: str, grouping: Grouping, start: int, end: int) -> list[Values]:
        """The series that have minutes on the days from `start` to `end`, sorted."""
        return self._named(partial(layout.members_key, project, MINUTE, grouping), start, end)

    def sketched(self, project: str, grouping: Grouping, start: int, end: int) -> list[Values]:
        """The series that have sketches on the days from `start` to `end`, sorted."""
        return self._named(partial(layout.sketched_key, project, MINUTE, grouping), start, end)

    def sketches(self, keys: Sequence[str]) -> list[sketch.Entries | None]:
        """The sketches of such keys, None where there is none."""
        found = self._redis.mget(keys) if keys else []
        return [None if blob is None else sketch.from_blob(blob) for blob in found]

    def active_users(self, project: str, grouping: Grouping, values: Values, now: float) -> Unique:
        """Users of the last five minutes, see `active_sketch`."""
        users = sketch.estimate(self.active_sketch(project, grouping, values, now))
        return Unique(users, users * sketch.STANDARD_ERROR)

    def active_sketch(
        self, project: str, grouping: Grouping, values: Values, now: float
    ) -> sketch.Entries:
        """Users of the five minutes that end with the minute of `now`.

        At the turn of a minute nothing of that window is written yet: then those of the window
        before, which ended less than a minute ago. So the figure falls to 0 within six minutes of
        the last event.
        """
        return self._ask(lambda pipe: hot_calls.active(pipe, project, grouping, values, now))

    def pulse(self, project: str, grouping: Grouping, values: Values, start: int, end: int) -> Ints:
        """`MEASURES` of each ten seconds; for the total and single dimensions."""
        return self.series(project, grouping, values, start, end, PULSE)

    def beat(self, now: float, since: int | None = None, lost: int | None = None) -> None:
        """The job is alive, and has read on, or has been without an answer of its log since `lost`.

        `since` (seconds): it started without restored state, and reads all that happened from then
        on. Without it a store that has lost its memory holds whole minutes from a minute after now.
        """
        pipe = self._redis.pipeline(transaction=False)
        pipe.set(layout.HEARTBEAT, int(now), ex=60)
        pipe.set(layout.SEEN, int(now))
        start = int(now) + MINUTE if since is None else since
        if lost is not None:
            pipe.set(layout.LOST, lost, ex=KEEP_LOST)
        pipe.set(layout.SINCE, -(-start // MINUTE) * MINUTE, nx=True)
        pipe.execute()

    def note_watermark(
        self, partitions: Sequence[int], watermark_ms: int | None, now: float
    ) -> None:
        """How far a reader has come with its partitions; None: it does not know yet."""
        name = ",".join(str(partition) for partition in partitions)
        pipe = self._redis.pipeline(transaction=False)
        pipe.hset(layout.WATERMARKS, name, json.dumps([int(now), watermark_ms or 0]))
        pipe.expire(layout.WATERMARKS, DAY)
        pipe.execute()

    def watermarks(self, now: float) -> dict[int, int]:
        """Event time in ms up to which each partition is counted, of readers that are alive."""
        found: dict[int, int] = {}
        for name, value in self._redis.hgetall(layout.WATERMARKS).items():
            said, mark = json.loads(value)
            if said >= now - HEARD:
                for partition in name.decode().split(","):
                    found[int(partition)] = min(mark, found.get(int(partition), mark))
        return found

    def stop(self, now: float, why: str) -> None:
        """The job stopped by itself."""
        self._redis.set(layout.STOPPED, json.dumps([int(now), why]), ex=30 * DAY)

    def stopped(self) -> str | None:
        """Why the job stopped by itself; None when it did not, or was alive again since."""
        value = self._redis.get(layout.STOPPED)
        if value is None:
            return None
        at, why = json.loads(value)
        # Readers of other workers beat on for a moment.
        return None if (self.last_seen() or 0) > at + HEARD else str(why)

    def last_seen(self) -> int | None:
        """When any job was last alive, unix seconds, however long ago."""
        value = self._redis.get(layout.SEEN)
        return None if value is None else int(value)

    def since(self) -> int | None:
        """The first minute from which on everything is here; None when nobody has said."""
        value = self._redis.get(layout.SINCE)
        return None if value is None else int(value)

    def last_beat(self) -> int | None:
        """When the job was last alive, unix seconds; None after a minute of silence."""
        value = self._redis.get(layout.HEARTBEAT)
        return None if value is None else int(value)

    def job(self) -> tuple[int | None, int | None]:
        """`last_beat`, and since when a reader is without an answer of the log; None: none is."""
        return self._ask(hot_calls.job)

    def live(self, ask: LiveSlice) -> LiveRows:
        """What a live feed shows, in one round trip: `series`, `status`, and what is now."""
        return self._ask(lambda pipe: hot_calls.live(pipe, ask))

    def _ask(self, calls: Callable[[Any], hot_calls.Decode[_Answer]]) -> _Answer:
        pipe = self._redis.pipeline(transaction=False)
        decode = calls(pipe)
        return decode(iter(pipe.execute()))

    def _named(self, key: Callable[[int], str], start: int, end: int) -> list[Values]:
        """The series that stand in the sets of the days from `start` to `end`, sorted."""
        keys = [key(day) for day in range(start // DAY, max(start, end - 1) // DAY + 1)]
        return sorted(layout.parse_values(text.decode()) for text in self._redis.sunion(keys))

    def _record_calls(self, pane: Pane) -> list[tuple[Any, list[str], list[Any]]]:
        length = layout.page(pane.width)
        day, second = divmod(pane.start, length)
        slot = second // pane.width
        keys = [layout.members_key(pane.project, pane.width, pane.grouping, day)]
        if not pane.grouping and pane.width == MINUTE:
            keys.append(layout.status_key(pane.project, day))
        packed = layout.pack(pane.measures)
        size = RECORD.itemsize
        head: list[Any] = [
            layout.series_prefix(pane.project, pane.width, pane.grouping),
            f":{day}",
            slot * size,
            (day + 1) * length + (KEEP if length == DAY else KEEP_SHORT),
            self._max_series,
            pane.status,
            slot,
        ]
        calls = []
        for first in range(0, len(pane.series), SERIES_PER_CALL):
            args = list(head)
            for i in range(first, min(first + SERIES_PER_CALL, len(pane.series))):
                args += (layout.values_text(pane.series[i]), packed[i * size : (i + 1) * size])
            calls.append((self._write, keys, args))
        return calls

    def _full(self, panes: Iterable[Pane]) -> dict[str, set[bytes]]:
        """Who has sketches where no more series are admitted: spares sending what is refused."""
        keys = sorted({_admitted(pane) for pane in panes if pane.grouping})
        if not keys:
            return {}
        pipe = self._redis.pipeline(transaction=False)
        for key in keys:
            pipe.smembers(key)
        sets = zip(keys, pipe.execute(), strict=True)
        return {key: names for key, names in sets if len(names) >= self._max_sketched}

    def _sketch_calls(
        self, pane: Pane, only: set[bytes] | None, blobs: "_Blobs"
    ) -> list[tuple[Any, list[str], list[Any]]]:
        forget = expires = (pane.start // DAY + 1) * DAY + KEEP
        hour = layout.hour_users_prefix(pane.project, pane.grouping)
        at = pane.start // HOUR * HOUR
        minute = None
        if pane.width == ACTIVE:
            hour = layout.active_prefix(pane.project, pane.grouping)
            at, expires = pane.start, pane.start + ACTIVE + KEEP_ACTIVE
        elif not pane.grouping:
            minute = layout.minute_users_key(pane.project, pane.start)
        elif pane.status < FINAL:
            return []  # a dimension's hour is written once a minute, not once a refresh
        scratch = f"{layout.base(pane.project)}:scratch"
        calls = []
        for values, blob in zip(pane.series, blobs.of(pane), strict=True):
            name = layout.values_text(values)
            if blob and (only is None or name.encode() in only):
                args = [blob, expires, name, self._max_sketched, forget]
                for key in (f"{hour}{name}:{at}", minute):
                    if key is not None:
                        calls.append((self._union, [key, scratch, _admitted(pane)], args))
        return calls

    def _run(self, calls: Sequence[tuple[Any, list[str], list[Any]]]) -> list[int]:
        if not calls:
            return []
        pipe = self._redis.pipeline(transaction=False)
        for script, keys, args in calls:
            script(keys=keys, args=args, client=pipe)
        return cast(list[int], pipe.execute())

    def _announce(self, panes: Iterable[Pane]) -> None:
        changed: dict[str, list[Pane]] = defaultdict(list)
        for pane in panes:
            if pane.width == MINUTE:
                changed[pane.project].append(pane)
        for project, news in changed.items():
            message = layout.announcement(
                {pane.start for pane in news}, {pane.grouping for pane in news}
            )
            self._redis.publish(layout.channel(project), message)


class _Blobs:
    """The sketches of panes as the store keeps them; made once for panes that share theirs."""

    def __init__(self) -> None:
        self._made: dict[int, list[bytes]] = {}  # by the array, which its pane keeps alive

    def of(self, pane: Pane) -> list[bytes]:
        """One for each series; empty where there are no users."""
        found = self._made.get(id(pane.sketch))
        if found is None:
            parts = sketch.split(pane.sketch, len(pane.series))
            found = [sketch.to_blob(one, dense=True) if len(one) else b"" for one in parts]
            self._made[id(pane.sketch)] = found
        return found


def _admitted(pane: Pane) -> str:
    day = pane.start // DAY
    return layout.sketched_key(pane.project, pane.width, pane.grouping, day)
