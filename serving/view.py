"""What one live feed shows: the last 24 hours, what changed in them, and the figures of now."""

from collections.abc import Collection
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from events import sketch
from serving.metrics import rate
from serving.projects import Project
from serving.series import events_of, measure
from serving.shape import ALL, Shape
from serving.top import Top
from stores.hot import HotStore
from stores.hot_calls import LiveRows, LiveSlice
from stores.hot_reads import HotReader
from stores.pane import DIMENSIONS, MEASURES, MINUTE, PULSE, STATUS_NAMES
from stores.recent import SHOWN, Entry, said

DAY_MINUTES: Final = 1_440
PULSE_DELAY: Final = 5  # seconds until ten seconds are counted, on the way from client to store
# A client may have its numbers from another process, whose reads began earlier or took longer.
RESUME_MARGIN: Final = 15.0  # seconds
PULSES: Final = 3  # that events per second are the mean of
_COLUMN: Final = {name: i for i, name in enumerate(MEASURES)}
Ints = NDArray[np.int64]
Filter = tuple[tuple[str, str], ...]  # in the order of DIMENSIONS


class View:
    """What one feed shows: the last 24 hours of one project and filter, read again as needed."""

    def __init__(self, store: HotStore, project: Project, filters: Filter) -> None:
        self._store = store
        self._project = project
        self._filters = filters
        self._grouping = tuple(d for d in DIMENSIONS if d in dict(filters))
        self._values = tuple(dict(filters)[d] for d in self._grouping)
        self._start = 0
        self._rows: Ints = np.zeros((DAY_MINUTES, len(MEASURES)), np.int64)
        self._status: NDArray[np.uint8] = np.zeros(DAY_MINUTES, np.uint8)
        self._changed_at: NDArray[np.float64] = np.zeros(DAY_MINUTES)  # as seen here
        self._changed: NDArray[np.intp] = np.zeros(0, np.intp)  # at the last read
        self._first = float("inf")  # when it was read for the first time
        self._seq = 0
        self._top = Top(HotReader(store), project, filters)
        self._recent: list[Entry] | None = None  # oldest first; None: not read
        self._new: list[Entry] = []  # of these, at the last read

    def read(self, now: float, since: int | None = None, *, recent: bool = False) -> None:
        """Read the store. Raises redis.RedisError.

        Nothing has changed before the minute `since` (epoch seconds), as far as the caller knows;
        None: all may have. The minute that was in progress is read again in any case. `recent`:
        read the events that came in last too.
        """
        end = int(now) // MINUTE * MINUTE + MINUTE  # with the minute in progress
        start = end - DAY_MINUTES * MINUTE
        shift = min(DAY_MINUTES, (start - self._start) // MINUTE)
        old_rows, old_status = _moved(self._rows, shift), _moved(self._status, shift)
        first = start
        if since is not None:
            first = max(start, min(since // MINUTE * MINUTE, end - (shift + 1) * MINUTE))
        known = (first - start) // MINUTE
        ten = int(now - PULSE_DELAY) // PULSE * PULSE
        pulses = (ten - PULSES * PULSE, ten)
        name, grouping, values = self._project.name, self._grouping, self._values
        read = self._store.live(
            LiveSlice(name, grouping, values, first, start, end, pulses, now, recent)
        )
        rows, status = np.concatenate([old_rows[:known], read.minutes]), read.status
        changed = np.flatnonzero((rows != old_rows).any(axis=1) | (status != old_status))
        changed_at = _moved(self._changed_at, shift)
        changed_at[changed] = now
        self._start, self._rows, self._status = start, rows, status
        self._changed, self._changed_at = changed, changed_at
        self._first = min(self._first, now)
        self._seq += 1
        self._now, self._as_of, self._job = _now(rows, read, now), now, read.job
        self._note(read.recent)

    def rank(self, now: float, dimensions: Collection[str]) -> None:
        """Read the top values of dimensions, those that are due."""
        self._top.read(now, dimensions)

    def has(self, shape: Shape) -> bool:
        """Whether all that it wants beside the minutes was read."""
        ranked = len(self._top.known(shape.dimensions)) == len(shape.dimensions)
        return ranked and (self._recent is not None or not shape.recent)

    @property
    def known(self) -> bool:
        """Whether the store has ever been read."""
        return self._seq > 0

    def delta(self, shape: Shape = ALL) -> bytes:
        """What the last read changed."""
        top = self._top.changed(shape.dimensions)
        return self._encode("delta", self._changed, shape, top, self._new)

    def snapshot(self, shape: Shape = ALL) -> bytes:
        """All minutes as of the last read."""
        every = np.arange(len(self._rows))
        top = self._top.known(shape.dimensions)
        return self._encode("snapshot", every, shape, top, (self._recent or [])[-SHOWN:])

    def gap(self, since: float, shape: Shape = ALL) -> bytes | None:
        """What has changed after the `as_of` of a client's last message; None: not known here."""
        start = min(since, self._as_of) - RESUME_MARGIN
        if start < self._first:
            return None
        which = np.flatnonzero(self._changed_at >= start)
        missed = [entry for entry in self._recent or [] if entry.at >= start * 1_000]
        return self._encode("delta", which, shape, self._top.known(shape.dimensions), missed)

    def _note(self, entries: list[Entry] | None) -> None:
        """Keep what passes the filters of the events that came in last."""
        if entries is None:
            self._recent, self._new = None, []
            return
        filters = dict(self._filters)
        known = {entry.id for entry in self._recent or []}
        self._recent = [entry for entry in entries if entry.passes(filters)]
        self._new = [entry for entry in self._recent if entry.id not in known]

    def _encode(
        self,
        kind: str,
        which: NDArray[np.intp],
        shape: Shape,
        top: dict[str, Any],
        recent: list[Entry],
    ) -> bytes:
        rows = self._rows[which]
        beat, lost = self._job
        message: dict[str, Any] = {
            "type": kind,
            "seq": self._seq,
            "project": self._project.name,
            "currency": self._project.currency,
            "timezone": self._project.timezone,
            "filter": dict(self._filters),
            "as_of": self._as_of,
            "job": {"alive": beat is not None, "last_beat": beat, "log_lost_since": lost},
            "time": (self._start + which * MINUTE).tolist(),
            "status": [STATUS_NAMES[s] for s in self._status[which].tolist()],
            "now": self._now,
        }
        for name in shape.metrics:
            column = measure(name, rows).tolist()
            message[name] = [m / 1_000_000 for m in column] if name == "revenue" else column
        if top:
            message["top"] = top
        if shape.recent and (recent or kind == "snapshot"):
            message["recent"] = [said(entry) for entry in recent]
        return msgspec.json.encode(message)


def _now(rows: Ints, read: LiveRows, now: float) -> dict[str, float | None]:
    """The figures of now; `rows` are those of the day, the minute in progress last."""
    five, hour = rows[-5:], rows[-60:]
    events = int(events_of(five).sum())
    users = None if read.active is None else sketch.estimate(read.active)
    if read.pulses is None:
        per_second = float(events_of(rows[-2:]).sum()) / (MINUTE + now % MINUTE)
    else:
        per_second = float(events_of(read.pulses).sum()) / (PULSES * PULSE)
    return {
        "active_users": users,
        "active_users_error": None if users is None else round(users * sketch.STANDARD_ERROR, 1),
        "events_per_second": round(per_second, 2),
        "revenue_per_hour": int(hour[:, _COLUMN["revenue_micros"]].sum()) / 1_000_000,
        "error_rate": rate(int(five[:, _COLUMN["errors"]].sum()), events),
    }


def _moved(minutes: NDArray[Any], shift: int) -> NDArray[Any]:
    """The values of a day of minutes so many minutes later; those that are new have 0."""
    moved = np.zeros_like(minutes)
    moved[: DAY_MINUTES - shift] = minutes[shift:]
    return moved
