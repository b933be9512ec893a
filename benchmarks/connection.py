"""The least HTTP/1.1 client that a load generator needs: one connection, one request at a time."""

import asyncio
from typing import Any, Final

_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"content-length:"


class Connection:
    """Opened with its first request, and again when the server has closed it meanwhile."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._answers: Answers | None = None

    async def ask(self, head: bytes, content: bytes) -> tuple[int, bytes]:
        """Send a request; its status and body. Raises OSError when the connection breaks."""
        if self._answers is None or self._answers.closed:
            loop = asyncio.get_running_loop()
            _, self._answers = await loop.create_connection(Answers, self._host, self._port)
        return await self._answers.ask(head, content)

    def close(self) -> None:
        """Let go."""
        if self._answers is not None:
            self._answers.close()


class Answers(asyncio.Protocol):
    """The open connection; answers have a Content-Length."""

    def __init__(self) -> None:
        self._transport: Any = None
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._data = b""

    @property
    def closed(self) -> bool:
        """Whether it can send no more."""
        return bool(self._transport.is_closing())

    def connection_made(self, transport: Any) -> None:
        """Keep it."""
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the one who waits."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError("closed by the server"))

    def ask(self, head: bytes, content: bytes) -> "asyncio.Future[tuple[int, bytes]]":
        """Send a request; its status and body come."""
        self._answer = asyncio.get_running_loop().create_future()
        self._data = b""
        self._transport.writelines((head, content))
        return self._answer

    def data_received(self, data: bytes) -> None:
        """Look whether the answer is complete."""
        self._data += data
        head, found, body = self._data.partition(_END)
        if found and self._answer is not None and len(body) >= _length(head):
            self._answer.set_result((int(head[9:12]), body))

    def close(self) -> None:
        """Let go."""
        self._transport.close()


def _length(head: bytes) -> int:
    lines = head.lower().split(b"\r\n")
    found = next((line for line in lines if line.startswith(_LENGTH)), _LENGTH + b"0")
    return int(found[len(_LENGTH) :])
