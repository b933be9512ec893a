"""Messages to rows: EventBatch, newline-delimited JSON, or one JSON event per message.

Our collector sends EventBatches. Producers that are not ours may send JSON: the fields of
`events.schema.Event`, and optionally `project`, `country`, `device` and `bot`. What cannot be used
becomes a `DeadLetter` with a reason of `events.reasons.MESSAGE_REASONS`; the rest still counts.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Final, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
from msgspec import Meta
from numpy.typing import NDArray

from events import batch, columns, letters, limits, plausible, schema
from events.letters import Letter
from transforms import lines

Mask = NDArray[np.bool_]  # which rows to keep
Ints = NDArray[np.int64]

MAX_LETTERS: Final = 100  # of one message; the lines that are refused beyond share one letter

HOT: Final = pa.schema([batch.SCHEMA.field(name) for name in batch.HOT_COLUMNS])


class Message(NamedTuple):
    """A message as read: payload, header values (None when absent) and where it stood."""

    payload: bytes
    content_type: str | None = None
    project: str | None = None
    topic: str = ""
    partition: int = 0
    offset: int = 0
    broker_ms: int = 0
    logged_ms: int = 0  # the same when it is the broker's own clock, else 0
    stated_rows: int = 1  # by its producer


@dataclass(frozen=True)
class DeadLetter:
    """What could not be used, why, and where it came from: as it is, so it stays in the worker.

    What leaves is its `letter`.
    """

    payload: bytes  # its first MAX_BODY_BYTES
    reason: str
    detail: str
    topic: str
    partition: int
    offset: int
    project: str | None = None
    row: int | None = None  # its line in the message; None: all of the message
    rows: int = 1  # lines that it stands for
    size: int = 0
    broker_ms: int = 0

    def letter(self, now_ms: int) -> Letter:
        """The same with its payload masked and cut, as it goes to the topic."""
        return letters.masked(
            self.payload,
            self.project,
            reason=self.reason,
            detail=self.detail,
            topic=self.topic,
            partition=self.partition,
            offset=self.offset,
            row=self.row,
            rows=self.rows,
            broker_ms=self.broker_ms,
            decoded_ms=now_ms,
            size=self.size,
            hash=letters.fingerprint(self.payload),
        )


class Record(schema.Event, kw_only=True):
    """An event from a producer that is not ours: enriched there, or not at all."""

    project: Annotated[str, Meta(min_length=1, max_length=limits.MAX_ID_CHARS)] | None = None
    country: Annotated[str, Meta(pattern=r"^[A-Z]{2}\Z")] = "ZZ"
    device: Annotated[str, Meta(min_length=1, max_length=16)] = "other"
    bot: bool = False


class Decoded(NamedTuple):
    """The rows of one message by project (`HOT_COLUMNS`, or all), and what was refused."""

    rows: dict[str, pa.RecordBatch]
    dead: list[DeadLetter]
    lines: Mapping[str, Ints] = MappingProxyType({})  # of rows in the message; else 0, 1, 2, …

    def places(self, project: str) -> Ints:
        """The line of each row of a project: the same whatever becomes of the lines around it."""
        found = self.lines.get(project)
        return np.arange(self.rows[project].num_rows) if found is None else found

    @property
    def share_dead(self) -> float:
        """How much of the message could not be used: 0 to 1."""
        dead = sum(letter.rows for letter in self.dead)
        return dead / (dead + sum(rows.num_rows for rows in self.rows.values())) if dead else 0.0


_TIMES: Final = ("event_time", "received_at")
_record_decoder: Final = msgspec.json.Decoder(Record)


def decode(message: Message, currency: str = "USD", *, hot_only: bool = True) -> Decoded:
    """Decode one message into `HOT_COLUMNS` or all columns of `batch.SCHEMA`.

    Never raises on bad input: it comes back as dead letters.
    """
    payload = message.payload
    if not payload:
        return Decoded({}, [_whole(message, "message_empty", "no bytes")])
    if message.content_type == batch.CONTENT_TYPE or batch.is_batch(payload):
        try:
            project, rows = batch.decode(payload, hot_only=hot_only)
            plausible.check(project, rows)
        except batch.BatchError as error:
            return Decoded({}, [_whole(message, error.code, str(error))])
        return Decoded({project: _not_ahead(rows, message.logged_ms)}, [])
    if payload.lstrip()[:1] != b"{":
        return Decoded({}, [_whole(message, "message_undecodable", "no known format")])
    together = decode_together([message], currency, hot_only=hot_only)
    return _line_by_line(message, currency, hot_only) if together is None else together.decoded


class Together(NamedTuple):
    """What some messages of JSON gave, and how many rows each has, in their order."""

    decoded: Decoded
    counts: Ints


def is_json(message: Message) -> bool:
    """Whether it is worth a try to decode a message with others."""
    return message.content_type != batch.CONTENT_TYPE and message.payload[:1] == b"{"


def decode_together(
    messages: Sequence[Message], currency: str = "USD", *, hot_only: bool = True
) -> Together | None:
    """Several messages of JSON (see `is_json`) with one project header, in one call.

    None when anything is wrong with any of them, or when several hold events of several projects:
    then they are decoded one by one. Their rows are then the same.
    """
    texts = [message.payload.rstrip(b"\n") for message in messages]
    found = lines.decode(b"\n".join(texts), currency)
    if found is None:
        return None
    events, ends = found
    bounds = np.cumsum([len(text) + 1 for text in texts])
    counts = np.diff(np.searchsorted(ends, bounds), prepend=0)
    header = messages[0].project
    named = list(dict.fromkeys(one or header or "" for one in dict.fromkeys(events.project)))
    if not all(map(plausible.is_project, named)) or len(named) > 1 < len(messages):
        return None
    schema_ = HOT if hot_only else batch.SCHEMA
    received = np.repeat([message.broker_ms for message in messages], counts)
    logged = np.repeat([message.logged_ms for message in messages], counts)
    places = {}
    if len(named) > 1:
        owners = np.array([one or header or "" for one in events.project])
        places = {project: np.flatnonzero(owners == project) for project in named}
    rows = {}
    try:
        events = events if hot_only else lines.props_of(events)
        for project in named:
            at = places.get(project, ...)
            mine = events if at is ... else events.take(at.tolist())
            made = columns.rows(project, mine, schema_, received[at])
            rows[project] = _not_ahead(made, logged[at])
    except schema.InvalidEvent:  # an amount
        return None
    return Together(Decoded(rows, [], places), counts)


def _line_by_line(message: Message, currency: str, hot_only: bool) -> Decoded:
    records: dict[str, list[Record]] = {}
    places: dict[str, list[int]] = {}
    dead: list[DeadLetter] = []
    more: list[tuple[int, bytes]] = []
    for row, line in enumerate(message.payload.split(b"\n")):
        if not line.strip():
            continue
        try:
            record = _decode_record(line, currency)
            project = _project(record.project or message.project)
        except schema.InvalidEvent as error:
            if len(dead) < MAX_LETTERS:
                dead.append(_dead(message, line, *error.rejection, row=row))
            else:
                more.append((row, line))
        else:
            records.setdefault(project, []).append(record)
            places.setdefault(project, []).append(row)
    if more:
        detail = f"{len(more)} more lines of a message of which {MAX_LETTERS} were refused"
        rest = b"\n".join(line for _, line in more)
        shared = _dead(message, rest, "event_malformed", detail, row=more[0][0], rows=len(more))
        dead.append(shared)
    schema_ = HOT if hot_only else batch.SCHEMA
    rows = {
        project: _not_ahead(
            columns.rows(project, columns.Fields.of(items), schema_, message.broker_ms),
            message.logged_ms,
        )
        for project, items in records.items()
    }
    return Decoded(rows, dead, {name: np.array(at, np.int64) for name, at in places.items()})


def _project(name: str | None) -> str:
    if not name:
        raise schema.InvalidEvent("message_project_missing", "no project")
    if not plausible.is_project(name):
        raise schema.InvalidEvent(
            "message_project_invalid", f"no project's name, of {len(name)} characters"
        )
    return name


def _not_ahead(rows: pa.RecordBatch, logged_ms: int | Ints) -> pa.RecordBatch:
    """Rows with no time far after the broker's clock: those happened when they were logged.

    Else one wrong clock opens windows years ahead, and in a backlog takes the watermark with it.
    `logged_ms` is 0 where the broker's clock is not known.
    """
    logged = np.asarray(logged_ms)
    if not logged.any():
        return rows
    latest = np.where(logged > 0, logged + limits.MAX_AHEAD_MS, limits.MAX_TS_MS)
    for name in _TIMES:
        place = rows.schema.get_field_index(name)
        if place < 0:
            continue
        times = rows.column(place).to_numpy()
        ahead = times > latest
        if ahead.any():
            right = pa.array(np.where(ahead, logged, times))
            rows = rows.set_column(place, batch.SCHEMA.field(name), right)
    return rows


def _decode_record(line: bytes, currency: str) -> Record:
    try:
        record = schema.decode_with(_record_decoder, line)
    except schema.InvalidEvent:
        # What is taken among others is taken alone: of a field that stands there twice, say, only
        # the second was looked at.
        found = lines.decode(line, currency)
        if found is None:
            raise
        record = _record(found.events)
        schema.check(record)
        return record
    if record.currency is not None and record.currency != currency:
        raise schema.InvalidEvent(
            "currency_unsupported", f"only {currency} is taken without a collector"
        )
    return record


def _record(event: columns.Fields) -> Record:
    """One event as a record."""
    made = uuid.UUID(bytes=event.id) if isinstance(event.id, bytes) else None
    fields = lines.props_of(event)._replace(id=[made])._asdict()
    return Record(**{name: column[0] for name, column in fields.items()})


def _whole(message: Message, reason: str, detail: str) -> DeadLetter:
    return _dead(message, message.payload, reason, detail, rows=message.stated_rows)


def _dead(
    message: Message,
    payload: bytes,
    reason: str,
    detail: str,
    row: int | None = None,
    rows: int = 1,
) -> DeadLetter:
    return DeadLetter(
        payload[: limits.MAX_BODY_BYTES],
        reason,
        detail[: letters.DETAIL_CHARS],
        message.topic,
        message.partition,
        message.offset,
        message.project,
        row,
        rows,
        len(payload),
        message.broker_ms,
    )
