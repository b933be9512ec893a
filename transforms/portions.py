"""The messages of a poll in portions that are decoded, and asked for duplicates, at once.

An EventBatch is a portion by itself. Messages of JSON are small, and what a call costs is dear
beside one event: neighbours in a partition, of one project and one generation of duplicates (see
`transforms.duplicates`), go together.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np

from transforms.decode import Decoded, Ints, Message, decode, decode_together, is_json
from transforms.duplicates import HORIZON_MS


class Portion(NamedTuple):
    """Messages of one partition and what they gave; several have rows of one project only.

    `counts`: how many rows each of several messages has.
    """

    messages: Sequence[Message]
    decoded: Decoded
    counts: Ints

    def counts_of(self, project: str) -> Ints:
        """How many rows of a project each message has."""
        if len(self.messages) > 1:
            return self.counts
        return np.array([self.decoded.rows[project].num_rows])


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
