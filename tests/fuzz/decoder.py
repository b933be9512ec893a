"""Target: from a message's bytes to cubes and panes, by the reader's own code.

Nothing raises. What cannot be used is a dead letter with a declared reason; what can be used makes
cubes whose grouping sets agree, that encode, merge and become panes; and messages read in the same
poll, of the same project and of another, count in full.
"""

import random
from collections import Counter
from collections.abc import Sequence
from typing import Final

import apache_beam as beam
import numpy as np
from apache_beam.transforms.window import IntervalWindow
from numpy.typing import NDArray

from events import batch, limits
from events.reasons import MESSAGE_REASONS
from pipelines import sources
from pipelines.log_reader import LogSettings
from stores import layout, pane_codec
from stores.pane import DIMENSIONS, FINAL, MINUTE
from tests.fuzz import arrow, corpus
from tests.fuzz.mutate import mutate
from tests.fuzz.report import Violation
from transforms import cube as cubes
from transforms.decode import Mask, Message, decode
from transforms.duplicates import Duplicates
from transforms.windows import pane_of

COUNTED: Final = (
    0.25  # of what decodes, the share that is counted too: it takes a hundred times longer
)
NEIGHBOURS: Final = 7  # rows of each valid message of the same poll
_SETTINGS: Final = sources.ReadSettings(LogSettings("nowhere:1", "events"), cap=1_000, project="p")
_TYPES: Final = (None, None, batch.CONTENT_TYPE, batch.CONTENT_TYPE_JSON, "x/y")
_HEADERS: Final = (None, "p", "p", "q", "p\x1fcountry", "", "ü" * 500)
_AHEAD_S: Final = 3_600  # windows may be so far ahead of the broker's clock, and no more


class _Reader:
    """A log reader without a log."""

    def __init__(self, watermark: int | None) -> None:
        self._known = Duplicates()
        self._watermark = watermark

    def fresh(
        self, messages: Sequence[Message], counts: NDArray[np.int64], keys: NDArray[np.uint64]
    ) -> Mask | None:
        return self._known.fresh(keys, messages[0].broker_ms, counts)

    def saw(self, partition: int, newest_ms: int) -> None:
        """Nothing to do."""

    def watermark_of(self, partition: int) -> int | None:
        return self._watermark


class DecoderTarget:
    """Cases against `transforms.decode` and all that comes after it in the reader."""

    def __init__(self) -> None:
        self._read = sources.ReadKafka(_SETTINGS).read
        rng = random.Random(0)
        # Made once: encoding takes longer than decoding.
        self._batches = [arrow.valid(rng, rng.choice((1, 3, 20)), "p") for _ in range(64)]
        self._same = arrow.valid(rng, NEIGHBOURS, "p", "same")
        self._other = arrow.valid(rng, NEIGHBOURS, "n", "other")

    def case(self, rng: random.Random, index: int) -> list[str]:
        """One message; what became of it."""
        payload = self._payload(rng)
        message = Message(
            payload,
            rng.choice(_TYPES),
            rng.choice(_HEADERS),
            "events",
            3,
            17,
            corpus.NOW,
            corpus.NOW,
        )
        return self.check(message, late=rng.random() < 0.5, counted=rng.random() < COUNTED)

    def check(self, message: Message, *, late: bool = False, counted: bool = True) -> list[str]:
        """All invariants for one message. Raises Violation."""
        try:
            names = self._check(message)
            if "decoded" in names and counted:
                self._aggregate(message, late)
                names.append("decoded and counted")
            return names
        except Violation:
            raise
        except Exception as error:
            raise Violation(f"raised {error!r}"[:300], message.payload) from error

    def _check(self, message: Message) -> list[str]:
        payload = message.payload
        decoded = decode(message)
        whole = decode(message, hot_only=False)
        for letter in (*decoded.dead, *whole.dead):
            if letter.reason not in MESSAGE_REASONS:
                raise Violation(f"undeclared: {letter.reason}", payload)
            if len(letter.payload) > limits.MAX_BODY_BYTES or len(letter.detail) > 200:
                raise Violation("a dead letter without bounds", payload)
        for project, rows in whole.rows.items():
            if rows.num_rows != (decoded.rows[project].num_rows if project in decoded.rows else -1):
                raise Violation("hot and whole rows differ", payload)
        names = sorted({letter.reason for letter in decoded.dead})
        if decoded.rows:
            names.append("decoded")
        return names

    def _aggregate(self, message: Message, late: bool) -> None:
        reader = _Reader(corpus.NOW - 600_000 if late else None)
        near = (
            message._replace(payload=part, content_type=None) for part in (self._same, self._other)
        )
        same, other = near
        outputs = self._read(reader, [same, message, other])
        minutes: dict[tuple[str, int], dict[tuple[str, ...], int]] = {}
        total: Counter[str] = Counter()
        for output in outputs:
            if isinstance(output, beam.pvalue.TaggedOutput):
                continue
            key, cube = output.value
            start = output.timestamp.micros // 1_000_000
            self._windowed(key, cube, start, message.payload)
            project, *grouping = key.split(cubes.UNIT)
            seen = minutes.setdefault((project, start), {})
            seen[tuple(grouping)] = cube.rows + cube.left_out
            if not grouping:
                total[project] += cube.rows
        for where, counts in minutes.items():
            if len(counts) != 8 or len(set(counts.values())) != 1:
                raise Violation(f"grouping sets differ in {where}: {counts}", message.payload)
        if total["n"] < NEIGHBOURS or total["p"] < NEIGHBOURS:
            raise Violation(f"neighbours of the same poll are missing: {total}", message.payload)

    def _windowed(self, key: str, cube: cubes.Cube, start: int, payload: bytes) -> None:
        if not 0 <= start <= corpus.NOW // 1_000 + _AHEAD_S:
            raise Violation(f"a window at {start}", payload)
        again = cubes.decode(cubes.encode(cube))
        twice = cubes.merge((cube, again))
        if again != cube or twice.rows + twice.left_out != 2 * (cube.rows + cube.left_out):
            raise Violation(f"{key!r} at {start} does not encode and merge", payload)
        if int(cube.measures.min(initial=0)) < 0 and int(cube.measures[:, :-1].min()) < 0:
            raise Violation(f"{key!r} at {start} counts below zero", payload)
        where = IntervalWindow(start, start + MINUTE)
        pane = pane_of(key, cube, where, FINAL)
        if not set(pane.grouping) <= set(DIMENSIONS):
            raise Violation(f"no grouping set: {pane.grouping}", payload)
        if any(len(values) != len(pane.grouping) for values in pane.series):
            raise Violation(f"{key!r}: values and dimensions differ in number", payload)
        if pane_codec.decode(pane_codec.encode(pane)).series != pane.series:
            raise Violation(f"{key!r} does not encode as a pane", payload)
        layout.pack(pane.measures)
        texts = [layout.values_text(values) for values in pane.series]
        if len(set(texts)) != len(texts) and "" not in texts:
            raise Violation(f"{key!r}: one series twice", payload)

    def _payload(self, rng: random.Random) -> bytes:
        kind = rng.randrange(10)
        if kind < 3:
            return mutate(rng, corpus.lines(rng))
        if kind == 3:
            return corpus.lines(rng)
        if kind < 7:
            return mutate(rng, rng.choice(self._batches), 2)
        if kind == 7:
            return mutate(rng, arrow.message(rng), 1)
        if kind == 8:
            return arrow.message(rng)
        start = rng.choice((b"", b"{", b"\xff\xff\xff\xff", b"ARROW1\x00\x00"))
        return start + rng.randbytes(rng.randrange(200))
