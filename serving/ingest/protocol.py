"""uvicorn's HTTP protocol with bounds on a request's head: how large it is, how long it takes.

uvicorn on httptools has neither: a client could fill the memory with one header without an end, or
hold connections open for ever with half a head. The bounds of bodies are in `serving.ingest.body`.
"""

import asyncio
from http import HTTPStatus
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serving.ingest.errors import RequestError

MAX_HEAD_BYTES: Final = 65_536
HEAD_SECONDS: Final = 10.0  # also for the first byte of a new connection

_MALFORMED: Final = RequestError("http_malformed")
_TOO_LARGE: Final = RequestError("head_too_large")
_TOO_SLOW: Final = RequestError("head_incomplete")


class BoundedProtocol(HttpToolsProtocol):
    """One connection. Costs a comparison for each read, and a timer only for a head in pieces."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._head: int | None = 0  # bytes of the head that is being read; None between two
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Give the first head its time."""
        super().connection_made(transport)
        self._timer = self.loop.call_later(HEAD_SECONDS, self._late)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing to wait for any more."""
        self._disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse, then look whether a head is still open."""
        super().data_received(data)
        if self._head is None:
            return
        self._head += len(data)
        if self._head > MAX_HEAD_BYTES:
            self._refuse(_TOO_LARGE)
        elif self._timer is None:
            self._timer = self.loop.call_later(HEAD_SECONDS, self._late)

    def on_message_begin(self) -> None:
        """A head begins."""
        self._head = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """It is complete."""
        self._head = None
        self._disarm()
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP is refused with a declared reason too."""
        self._refuse(_MALFORMED)

    def _late(self) -> None:
        self._timer = None
        if self._head is None:
            return
        if self.cycle is not None and not self.cycle.response_complete:
            self._timer = self.loop.call_later(HEAD_SECONDS, self._late)
        else:
            self._refuse(_TOO_SLOW)

    def _refuse(self, error: RequestError) -> None:
        """The last word; what was begun before is not waited for."""
        self._head = None
        self._disarm()
        if not self.transport.is_closing():
            body = error.body()
            self.transport.write(
                b"HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
                b"Access-Control-Allow-Origin: *\r\nConnection: close\r\n\r\n%s"
                % (error.status, HTTPStatus(error.status).phrase.encode(), len(body), body)
            )
            self.transport.close()

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
