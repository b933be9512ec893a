"""What one live feed shows: the last 24 hours, what changed in them, and the figures of now."""

from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from serving.metrics import rate
from serving.projects import Project
from serving.series import events_of
from stores.hot import HotStore
from stores.pane import DIMENSIONS, MEASURES, MINUTE, PULSE, SKETCHED, STATUS_NAMES

DAY_MINUTES: Final = 1_440
PULSE_DELAY: Final = 5  # seconds until ten seconds are counted, on the way from client to store
# A client may have its numbers from another process, whose reads began earlier or took longer.
RESUME_MARGIN: Final = 15.0  # seconds
PULSES: Final = 3  # that events per second are the mean of
_COLUMN: Final = {name: i for i, name in enumerate(MEASURES)}
SHOWN: Final = ("page_views", "clicks", "purchases", "errors")
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
        self._first = float("inf")  # when it was read for the first time
        self._seq = 0

    def read(self, now: float, since: int | None = None) -> bytes:
        """Read the store; the delta since the last read. Raises redis.RedisError.

        Nothing has changed before the minute `since` (epoch seconds), as far as the caller knows;
        None: all may have. The minute that was in progress is read again in any case.
        """
        end = int(now) // MINUTE * MINUTE + MINUTE  # with the minute in progress
        start = end - DAY_MINUTES * MINUTE
        name = self._project.name
        shift = min(DAY_MINUTES, (start - self._start) // MINUTE)
        old_rows, old_status = _moved(self._rows, shift), _moved(self._status, shift)
        first = start
        if since is not None:
            first = max(start, min(since // MINUTE * MINUTE, end - (shift + 1) * MINUTE))
        known = (first - start) // MINUTE
        read = self._store.series(name, self._grouping, self._values, first, end)
        rows = np.concatenate([old_rows[:known], read])
        status = self._store.status(name, start, end)
        changed = np.flatnonzero((rows != old_rows).any(axis=1) | (status != old_status))
        changed_at = _moved(self._changed_at, shift)
        changed_at[changed] = now
        live, job = self._live(rows, now), self._store.job()
        # Nothing is kept before all is read: what a failed read had kept would be in no delta.
        self._start, self._rows, self._status = start, rows, status
        self._changed_at, self._first = changed_at, min(self._first, now)
        self._seq += 1
        self._now, self._as_of, self._job = live, now, job
        return self._encode("delta", changed)

    @property
    def known(self) -> bool:
        """Whether the store has ever been read."""
        return self._seq > 0

    def snapshot(self) -> bytes:
        """All minutes as of the last read."""
        return self._encode("snapshot", np.arange(len(self._rows)))

    def gap(self, since: float) -> bytes | None:
        """What has changed after the `as_of` of a client's last message; None: not known here."""
        start = min(since, self._as_of) - RESUME_MARGIN
        if start < self._first:
            return None
        return self._encode("delta", np.flatnonzero(self._changed_at >= start))

    def _live(self, rows: Ints, now: float) -> dict[str, float | None]:
        store, name = self._store, self._project.name
        last = len(rows) - 1  # the minute in progress
        five, hour = rows[last - 4 : last + 1], rows[last - 59 : last + 1]
        events = int(events_of(five).sum())
        active = None
        if self._grouping in SKETCHED:
            active = store.active_users(name, self._grouping, self._values, now)
            end = int(now - PULSE_DELAY) // PULSE * PULSE
            pulse = store.pulse(name, self._grouping, self._values, end - PULSES * PULSE, end)
            per_second = float(events_of(pulse).sum()) / (PULSES * PULSE)
        else:
            per_second = float(events_of(rows[last - 1 : last + 1]).sum()) / (60 + now % 60)
        return {
            "active_users": None if active is None else active.users,
            "active_users_error": None if active is None else round(active.error, 1),
            "events_per_second": round(per_second, 2),
            "revenue_per_hour": int(hour[:, _COLUMN["revenue_micros"]].sum()) / 1_000_000,
            "error_rate": rate(int(five[:, _COLUMN["errors"]].sum()), events),
        }

    def _encode(self, kind: str, which: NDArray[np.intp]) -> bytes:
        rows = self._rows[which]
        beat, lost = self._job
        message: dict[str, Any] = {
            "type": kind,
            "seq": self._seq,
            "project": self._project.name,
            "currency": self._project.currency,
            "filter": dict(self._filters),
            "as_of": self._as_of,
            "job": {"alive": beat is not None, "last_beat": beat, "log_lost_since": lost},
            "time": (self._start + which * MINUTE).tolist(),
            "events": events_of(rows).tolist(),
            "revenue": [m / 1_000_000 for m in rows[:, _COLUMN["revenue_micros"]].tolist()],
            "status": [STATUS_NAMES[s] for s in self._status[which].tolist()],
            "now": self._now,
        }
        for name in SHOWN:
            message[name] = rows[:, _COLUMN[name]].tolist()
        return msgspec.json.encode(message)


def _moved(minutes: NDArray[Any], shift: int) -> NDArray[Any]:
    """The values of a day of minutes so many minutes later; those that are new have 0."""
    moved = np.zeros_like(minutes)
    moved[: DAY_MINUTES - shift] = minutes[shift:]
    return moved
