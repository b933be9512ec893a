"""The messages of a poll in portions that are decoded at once.

An EventBatch is a portion by itself. Messages of JSON are small, and what a call costs is dear
beside one event: neighbours in a partition, of one project and one generation of duplicates (see
`transforms.duplicates`), go together.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from transforms.decode import Decoded, Ints, Message, decode, decode_together, is_json
from transforms.duplicates import HORIZON_MS


class Part(NamedTuple):
    """The rows of one project of some messages, and how many each message has; there are some."""

    project: str
    rows: pa.RecordBatch
    messages: Sequence[Message]
    counts: Ints


class Portion(NamedTuple):
    """Messages of one partition and what they gave; several have rows of one project only.

    `counts`: how many rows each of several messages has.
    """

    messages: Sequence[Message]
    decoded: Decoded
    counts: Ints

    @property
    def stretch(self) -> tuple[int, int]:
        """Partition and generation: what may be asked for duplicates at once."""
        first = self.messages[0]
        return first.partition, first.broker_ms // HORIZON_MS

    def parts(self) -> Iterator[Part]:
        """The rows by project."""
        for project, rows in self.decoded.rows.items():
            if rows.num_rows:
                one = len(self.messages) == 1
                counts = np.array([rows.num_rows]) if one else self.counts
                yield Part(project, rows, self.messages, counts)


def portions(messages: Iterable[Message], currency: str) -> Iterator[Portion]:
    """All messages, those of one partition in their order, decoded to hot columns."""
    by_partition: dict[int, list[Message]] = {}
    for message in messages:
        by_partition.setdefault(message.partition, []).append(message)
    for mine in by_partition.values():
        for together, found in groupby(mine, _together):
            neighbours = list(found)
            if together is not None and len(neighbours) > 1:
                decoded = decode_together(neighbours, currency)
                if decoded is not None:
                    yield Portion(neighbours, *decoded)
                    continue
            for message in neighbours:
                yield Portion([message], decode(message, currency), np.empty(0, np.int64))


def _together(message: Message) -> tuple[str | None, int] | None:
    """What neighbours that go together have in common."""
    return (message.project, message.broker_ms // HORIZON_MS) if is_json(message) else None
