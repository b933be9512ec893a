"""A request's body: received within limits of size and time, and unpacked within the same size."""

import asyncio
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from events.limits import MAX_BODY_BYTES
from serving.ingest.budget import Budget
from serving.ingest.errors import ClientGone, RequestError

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

_GZIP: Final = 16 + zlib.MAX_WBITS
_CONTENT_TYPES: Final = frozenset({b"application/json", b"text/plain"})


def check_headers(headers: dict[bytes, bytes]) -> bool:
    """Refuse what need not be read. Whether the body is gzip. Raises `RequestError`."""
    kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if kind not in _CONTENT_TYPES:
        raise RequestError("content_type_unsupported")
    encoding = headers.get(b"content-encoding", b"identity").strip().lower()
    if encoding not in (b"identity", b"gzip"):
        raise RequestError("content_encoding_unsupported")
    length = headers.get(b"content-length", b"")
    if length.isdigit() and int(length[:20]) > MAX_BODY_BYTES:
        raise RequestError("body_too_large")
    return encoding == b"gzip"


async def receive_body(receive: Receive, timeout_s: float, budget: Budget) -> bytes:
    """The whole body; what has come so far is held in `budget`, and returned to it at the end.

    Raises `RequestError` (`body_too_large`, `body_incomplete`, `buffer_full`) or `ClientGone`.
    """
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientGone
                chunk: bytes = message.get("body", b"")
                if size + len(chunk) > MAX_BODY_BYTES:
                    raise RequestError("body_too_large")
                budget.take(0, len(chunk))
                size += len(chunk)
                chunks.append(chunk)
                if not message.get("more_body", False):
                    return chunks[0] if len(chunks) == 1 else b"".join(chunks)
    except TimeoutError:
        raise RequestError("body_incomplete") from None
    finally:
        budget.give(0, size)


def gunzip(body: bytes) -> bytes:
    """Decompress one gzip member, never making more than the limit and one byte of it.

    Raises `RequestError` on anything else: damaged, cut short, followed by more, or too large.
    """
    unpacker = zlib.decompressobj(_GZIP)
    try:
        plain = unpacker.decompress(body, MAX_BODY_BYTES + 1)
    except zlib.error as error:
        raise RequestError("gzip_malformed") from error
    if len(plain) > MAX_BODY_BYTES:
        raise RequestError("body_too_large", "(after decompression)")
    if not unpacker.eof or unpacker.unused_data:
        raise RequestError("gzip_malformed")
    return plain
