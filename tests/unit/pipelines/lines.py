"""Messages and lines for tests of what becomes of dead letters."""

from transforms.decode import Message

NOW = 1_700_000_040_000  # the start of a minute
MINUTE = NOW // 1000


def line(ts: int = NOW, name: str = "p", number: int | None = None) -> bytes:
    key = "" if number is None else f'"id":"018bcfe5-6800-7000-8000-{number:012d}",'
    return f'{{{key}"type":"click","user_id":"u","ts":{ts},"project":"{name}"}}'.encode()


def message(*lines: bytes, offset: int = 7, broker_ms: int = NOW + 5_000) -> Message:
    return Message(b"\n".join(lines), None, None, "events", 3, offset, broker_ms)
