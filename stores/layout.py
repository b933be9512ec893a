"""Where things stand in the hot store: keys, slots and records. Pure.

Keys (`{p}` is the project in braces, so that Redis Cluster keeps a project on one node; dimension
values are percent-encoded and joined by commas, `-` for the total; `day` counts from the epoch; of
ten-second windows nobody reads more than the last minutes, so their `day` is ten minutes long):

=============================================  ====================================================
`sl:{p}:s:<width>:<grouping>:<values>:<day>`   string of 32-byte records, one per window of the day
`sl:{p}:m:<width>:<grouping>:<day>`            set of the series' values that have such a string
`sl:{p}:k:<width>:<grouping>:<day>`            set of the series' values that have sketches
`sl:{p}:c:<day>`                               string, 1 byte per minute: completeness
`sl:{p}:u:-:-:<start>`                         HyperLogLog: users of a minute, of the total only
`sl:{p}:h:<grouping>:<values>:<start>`         HyperLogLog: users of an hour
`sl:{p}:a:<grouping>:<values>:<start>`         HyperLogLog: active users of the window from `start`
`sl:{p}:r`                                     list: the events that came in last, see `recent`
`sl:announce:{p}`                              pub/sub channel: what changed
`sl:job:heartbeat`                             unix seconds: when the job was last alive; expires
`sl:job:seen`                                  the same, kept: where a new job has to go on from
`sl:job:lost`                                  unix seconds: since when the log is silent; expires
`sl:job:stopped`                               when and why it stopped by itself; a month
`sl:job:watermarks`                            hash: of each reader when it spoke, and its watermark
`sl:job:writes:<process>`                      how many writes of a process are in; expires
`sl:since`                                     unix seconds: all minutes from here on are in here
=============================================  ====================================================
"""

import json
from collections.abc import Collection, Iterator, Sequence
from typing import Final, NamedTuple
from urllib.parse import quote, unquote

import numpy as np
from numpy.typing import NDArray

from stores.contract import DAY
from stores.pane import MEASURES, PULSE, Grouping

SHORT_PAGE: Final = 600
HEARTBEAT: Final = "sl:job:heartbeat"
SEEN: Final = "sl:job:seen"
LOST: Final = "sl:job:lost"
SINCE: Final = "sl:since"
STOPPED: Final = "sl:job:stopped"
WATERMARKS: Final = "sl:job:watermarks"

# rows first: the version that the script compares.
RECORD: Final = np.dtype(
    [(name, "<u4") for name in MEASURES if name != "revenue_micros"] + [("revenue_micros", "<i8")]
)
_MAX_U32: Final = 2**32 - 1


class Span(NamedTuple):
    """A run of slots within one day's string."""

    day: int
    first: int
    length: int


def page(width: int) -> int:
    """How many seconds one string of records holds: a day, or ten minutes of short windows."""
    return SHORT_PAGE if width == PULSE else DAY


def spans(start: int, end: int, width: int) -> Iterator[Span]:
    """The day strings that hold windows of `width` seconds from `start` to `end`, exclusive."""
    length = page(width)
    while start < end:
        day, second = divmod(start, length)
        stop = min(end, (day + 1) * length)
        yield Span(day, second // width, -(-(stop - start) // width))
        start = stop


def pack(measures: NDArray[np.int64]) -> bytes:
    """Rows of `MEASURES` as records. Raises OverflowError when a count is over 32 bits."""
    if measures.size and int(measures[:, :-1].max()) > _MAX_U32:
        raise OverflowError("a count of one window is over 32 bits")
    records = np.empty(len(measures), RECORD)
    for column, name in enumerate(MEASURES):
        records[name] = measures[:, column]
    return records.tobytes()


def unpack(data: bytes, count: int) -> NDArray[np.int64]:
    """`count` rows of `MEASURES`; zeros where the string had ended."""
    records = np.zeros(count, RECORD)
    held = np.frombuffer(data[: len(data) // RECORD.itemsize * RECORD.itemsize], RECORD)
    records[: len(held)] = held
    return np.stack([records[name].astype(np.int64) for name in MEASURES], axis=1)


def values_text(values: Sequence[str]) -> str:
    """Dimension values as part of a key. A lone `-` would read as the total, so it is encoded."""
    text = ",".join(quote(value, safe="") for value in values) if values else "-"
    return "%2D" if text == "-" and values else text


def parse_values(text: str) -> tuple[str, ...]:
    """The values of `values_text`."""
    return () if text == "-" else tuple(unquote(value) for value in text.split(","))


def grouping_text(grouping: Grouping) -> str:
    """A grouping set as part of a key."""
    return ",".join(grouping) if grouping else "-"


def base(project: str) -> str:
    """How a project's keys begin."""
    return f"sl:{{{quote(project, safe='')}}}"


def series_prefix(project: str, width: int, grouping: Grouping) -> str:
    """A series' key up to its values."""
    return f"{base(project)}:s:{width}:{grouping_text(grouping)}:"


def members_key(project: str, width: int, grouping: Grouping, day: int) -> str:
    """The set of a day's series."""
    return f"{base(project)}:m:{width}:{grouping_text(grouping)}:{day}"


def sketched_key(project: str, width: int, grouping: Grouping, day: int) -> str:
    """The set of a day's series that have sketches."""
    return f"{base(project)}:k:{width}:{grouping_text(grouping)}:{day}"


def status_key(project: str, day: int) -> str:
    """A day's completeness."""
    return f"{base(project)}:c:{day}"


def minute_users_key(project: str, start: int) -> str:
    """Users of a minute, of the total."""
    return f"{base(project)}:u:-:-:{start}"


def hour_users_prefix(project: str, grouping: Grouping) -> str:
    """Users of an hour, up to the values."""
    return f"{base(project)}:h:{grouping_text(grouping)}:"


def active_prefix(project: str, grouping: Grouping) -> str:
    """Active users, up to the values."""
    return f"{base(project)}:a:{grouping_text(grouping)}:"


def recent_key(project: str) -> str:
    """The events that came in last."""
    return f"{base(project)}:r"


def writes_key(writer: str) -> str:
    """How many writes of a process are in."""
    return f"sl:job:writes:{writer}"


def channel(project: str) -> str:
    """Where changes are announced."""
    return f"sl:announce:{{{quote(project, safe='')}}}"


def announcement(minutes: Collection[int], groupings: Collection[Grouping]) -> bytes:
    """What changed: in which minutes, and of which grouping sets."""
    names = sorted(grouping_text(grouping) for grouping in groupings)
    text = json.dumps({"minutes": sorted(minutes), "groupings": names}, separators=(",", ":"))
    return text.encode()


class News(NamedTuple):
    """What an announcement names: grouping sets as `grouping_text`, and the first minute."""

    groupings: set[str]
    since: int  # epoch seconds: nothing before it has changed


def announced(message: bytes) -> News | None:
    """What an announcement says; None when it does not, so that all may have changed."""
    try:
        said = json.loads(message)
        return News(set(said["groupings"]), int(min(said["minutes"])))
    except (ValueError, TypeError, KeyError):
        return None
