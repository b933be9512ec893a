"""Logs of all programs, as text for people or one JSON object a line for machines.

An access line is made of a method, a route template, a status and two numbers, all bounded: nothing
that a client says can be in it (address, query, key, path, header, body). Other messages of ours
name codes and counts, not values; `tests/unit/telemetry/test_privacy.py` holds them to it.
"""

import logging
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

FORMATS: Final = ("text", "json")
HELP: Final = "how log lines are written: text, or json, one object a line"
TEXT: Final = "%(asctime)s %(levelname)s %(name)s %(message)s"
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_access = logging.getLogger("streamlens.access")
_CAUSES: Final = 5  # of an error, told
_FRAMES: Final = 15  # of each
_FIELDS: Final = "fields"  # attribute of a record: more for the JSON object


class JsonFormatter(logging.Formatter):
    """`time` (UTC, ms), `level`, `logger`, `message`; of errors `traceback`; access fields."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, always: JSON escapes line ends."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": _clean(record.getMessage()),
        }
        line |= getattr(record, _FIELDS, {})
        if record.exc_info:
            line["traceback"] = _clean(self.formatException(record.exc_info))
        return msgspec.json.encode(line).decode()


def check(kind: str) -> None:
    """Raise ValueError for what is no format."""
    if kind not in FORMATS:
        raise ValueError(f"log_format is one of {', '.join(FORMATS)}, not {kind!r}")


def configure(kind: str) -> None:
    """Log to stderr from now on, whatever a library has set up. ValueError for no format."""
    check(kind)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if kind == "json" else logging.Formatter(TEXT))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def access(method: str, route: str, status: int, seconds: float, size: int) -> None:
    """One line for one request; `route` is a template of ours, `size` the body's bytes."""
    if not _access.isEnabledFor(logging.INFO):
        return
    verb = method if method in METHODS else "other"
    ms = round(seconds * 1_000, 1)
    fields = {"method": verb, "route": route, "status": status, "ms": ms, "bytes": size}
    _access.info("%s %s %d %.1f ms %d B", verb, route, status, ms, size, extra={_FIELDS: fields})


def failed(logger: logging.Logger, what: str, error: BaseException) -> None:
    """An error while a client's words were at work: its type and where, never its text.

    The text of an exception may hold what a client sent (a KeyError is nothing else).
    """
    told: list[str] = []
    seen: BaseException | None = error
    while seen is not None and len(told) < _CAUSES:
        frames = traceback.extract_tb(seen.__traceback__)[-_FRAMES:]
        places = (f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in reversed(frames))
        told.append(f"{type(seen).__name__} at {' < '.join(places) or 'nowhere'}")
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    logger.error("%s: %s", what, "; from ".join(told))


def _clean(text: str) -> str:
    """Without lone surrogates, which JSON cannot hold."""
    return text.encode("utf-8", "replace").decode()
