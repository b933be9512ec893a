"""Times and granularities as the API takes them: texts made absolute, ranges cut to steps. Pure."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from serving.arguments import invalid
from stores.contract import DAY, HOUR, edges
from stores.pane import MINUTE

STEPS: Final = {"1m": MINUTE, "1h": HOUR, "1d": DAY, "total": 0}  # seconds; 0: the whole range
GRANULARITIES: Final = (*STEPS, "auto")
MAX_STEPS: Final = 20_000
MAX_TIME: Final = 4_102_444_800  # 2100
# auto: the finest that gives at most so many points of a chart
_AUTO: Final = (("1m", 25 * HOUR), ("1h", 62 * DAY))
_RELATIVE: Final = re.compile(r"-([0-9]{1,6})([smhdw])")
_UNITS: Final = {"s": 1, "m": 60, "h": HOUR, "d": DAY, "w": 7 * DAY}
_ZONE: Final = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+){0,2}")


def moment(text: str, now: float, what: str) -> int:
    """Epoch seconds of `now`, `-24h`, seconds or ISO 8601. Raises RequestError."""
    found = int(now)
    relative = _RELATIVE.fullmatch(text)
    if relative:
        found -= int(relative[1]) * _UNITS[relative[2]]
    elif text.isascii() and text.isdigit() and len(text) <= 11:
        found = int(text)
    elif text != "now":
        try:
            date = datetime.fromisoformat(text)
        except ValueError:
            raise invalid(
                f"{what} is ISO 8601, epoch seconds, 'now', or relative such as -24h."
            ) from None
        found = int((date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp())
    if not 0 <= found <= MAX_TIME:
        raise invalid(f"{what} is not between 1970 and 2100.")
    return found


def zone(text: str) -> str:
    """The name of a time zone that exists. Raises RequestError."""
    try:
        if not _ZONE.fullmatch(text):
            raise ValueError(text)
        ZoneInfo(text)
    except (ValueError, OSError, ZoneInfoNotFoundError):
        raise invalid("timezone is a name such as Europe/Berlin.") from None
    return text


def granularity_of(name: str, seconds: int) -> str:
    """What `auto` means for a range of so many seconds."""
    if name != "auto":
        return name
    return next((finest for finest, most in _AUTO if seconds <= most), "1d")


def cut(
    start: int, end: int, granularity: str, timezone: str, *, until_now: bool
) -> tuple[int, ...]:
    """Edges of whole steps around the range; `until_now`: the step in progress is in it too.

    Raises RequestError for too many steps.
    """
    step = STEPS[granularity]
    if step == DAY:
        start, end = _floor(start, timezone), _ceil(end + until_now, timezone)
    else:
        unit = step or MINUTE
        start, end = start // unit * unit, -(-(end + until_now) // unit) * unit
    if not start < end:
        raise invalid("start is not before end.")
    if step and (end - start) // step > MAX_STEPS:
        raise invalid(
            f"The range has over {MAX_STEPS:,} steps of {granularity}, which is the limit."
        )
    return edges(start, end, step, timezone)


def moved(
    cuts: tuple[int, ...], days: int | None, granularity: str, timezone: str
) -> tuple[int, ...]:
    """The same steps some (local) days earlier, or right before when `days` is None."""
    if days is None and granularity == "1d":  # as many days, whatever their length
        days = len(cuts) - 1
    if days is None:
        return tuple(edge - (cuts[-1] - cuts[0]) for edge in cuts)
    if granularity != "1d":
        return tuple(edge - days * DAY for edge in cuts)
    where = ZoneInfo(timezone)
    return tuple(
        int(_midnight(datetime.fromtimestamp(edge, where) - timedelta(days=days), where))
        for edge in cuts
    )


def _midnight(local: datetime, where: ZoneInfo) -> float:
    return datetime(local.year, local.month, local.day, tzinfo=where).timestamp()


def _floor(at: int, timezone: str) -> int:
    where = ZoneInfo(timezone)
    return int(_midnight(datetime.fromtimestamp(at, where), where))


def _ceil(at: int, timezone: str) -> int:
    floor = _floor(at, timezone)
    if floor == at:
        return at
    where = ZoneInfo(timezone)
    return int(_midnight(datetime.fromtimestamp(floor, where) + timedelta(days=1), where))
