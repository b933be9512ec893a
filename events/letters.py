"""The dead letter: what stands on the topic for a message, or a line of one, that no one can count.

One JSON object, whose fields are those of `Letter`. It says why, where the original stands, and how
its payload looks with everything personal masked (`events.masking`); the original itself is only in
the log, where `pipelines.replay` finds it by topic, partition and offset.

The key of the message is `topic-partition-offset`, with `-row` for a line: a job that reads a
stretch of the log again writes its letters again, so **whoever counts letters counts keys**.
"""

import hashlib
from typing import Final

import msgspec

from events import masking, plausible
from events.masking import Form

VERSION: Final = 1
PAYLOAD_BYTES: Final = 2_048  # of the masked payload
DETAIL_CHARS: Final = 200
# A letter on the wire: each quote and backslash of the payload is escaped once more.
MAX_BYTES: Final = 8_192


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """Why something could not be used, where it is, and its shape. Times in ms since the epoch."""

    version: int = VERSION
    reason: str  # of `events.reasons.MESSAGE_REASONS`
    detail: str  # in our own words, or a library's; nothing of the input
    topic: str
    partition: int
    offset: int
    row: int | None = None  # the line within the message, from 0; None: the whole message
    rows: int = 1  # lines that this letter stands for, `row` is the first of them
    project: str | None = None  # when the message named one that can be
    broker_ms: int = 0  # when the broker had the message
    decoded_ms: int = 0  # when the job gave up on it
    form: Form = "text"  # binary: the payload is the hex of its masked head
    payload: str = ""  # masked
    truncated: bool = False
    size: int = 0  # bytes of the original
    hash: str = ""  # of the original: equal poison has equal hashes

    @property
    def key(self) -> str:
        """What tells it apart from all others, and is the same when it is written again."""
        return key(self.topic, self.partition, self.offset, self.row)


def key(topic: str, partition: int, offset: int, row: int | None) -> str:
    """The key of a letter: the place of what it is about."""
    return "-".join(str(part) for part in (topic, partition, offset, row) if part is not None)


def fingerprint(payload: bytes) -> str:
    """16 hex digits of SHA-256."""
    return hashlib.sha256(payload).hexdigest()[:16]


def masked(payload: bytes, project: str | None, **fields: object) -> Letter:
    """The letter about a payload; `fields` are the others of `Letter`."""
    shown = masking.mask(payload, PAYLOAD_BYTES)
    return msgspec.convert(
        {
            "form": shown.form,
            "payload": shown.text,
            "truncated": shown.truncated,
            "project": project if project and plausible.is_project(project) else None,
            **fields,
        },
        Letter,
    )


def encode(letter: Letter) -> bytes:
    """One JSON object of at most MAX_BYTES."""
    return _encoder.encode(letter)


def decode(data: bytes) -> Letter:
    """Raises `msgspec.DecodeError` for what is no letter of this version."""
    try:
        letter = _decoder.decode(data)
    except (UnicodeDecodeError, RecursionError) as error:  # these it does not make its own
        raise msgspec.DecodeError(str(error)) from error
    if letter.version != VERSION:
        raise msgspec.ValidationError(f"a dead letter of version {letter.version}")
    return letter


_encoder: Final = msgspec.json.Encoder()
_decoder: Final = msgspec.json.Decoder(Letter)
