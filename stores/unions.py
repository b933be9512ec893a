"""Which unions of users a cold store keeps, from the panes that it is given."""

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from events import sketch
from events.sketch import Entries
from stores.contract import HOUR
from stores.pane import SKETCHED, Pane, mask


class Place(NamedTuple):
    """Whose users, and when: `bucket` is the start of a minute or an hour, epoch seconds."""

    project: str
    grouping: int  # see `stores.pane.mask`
    value: str  # of the one dimension, "" for the total
    bucket: int


def unions(panes: Iterable[Pane]) -> tuple[dict[Place, Entries], dict[Place, Entries]]:
    """Minutes of the total, and hours of the total and single dimensions; one union each."""
    minutes: dict[Place, list[Entries]] = defaultdict(list)
    hours: dict[Place, list[Entries]] = defaultdict(list)
    for pane in panes:
        if not len(pane.sketch) or pane.grouping not in SKETCHED:
            continue
        parts = sketch.split(pane.sketch, len(pane.series))
        for values, entries in zip(pane.series, parts, strict=True):
            if not len(entries):
                continue
            minute = Place(
                pane.project, mask(pane.grouping), values[0] if values else "", pane.start
            )
            hours[minute._replace(bucket=pane.start // HOUR * HOUR)].append(entries)
            if not pane.grouping:
                minutes[minute].append(entries)
    return _merged(minutes), _merged(hours)


def _merged(found: dict[Place, list[Entries]]) -> dict[Place, Entries]:
    return {place: sketch.merge(parts) for place, parts in found.items()}
