"""A proxy that lets some addresses not through, as those between people and a service may do."""

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from deploy.ports import HOST

END: Final = b"\r\n\r\n"
REFUSAL: Final = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class BlockingProxy:
    """Listens on `port`, and speaks to the service at `target`; one request on each connection.

    `blocked` are paths without their query; `requests` are all that came, as method and address.
    """

    def __init__(self, target: int, blocked: frozenset[str] = frozenset()) -> None:
        self._target = target
        self._blocked = blocked
        self._listening = socket.create_server((HOST, 0))
        self._open: list[socket.socket] = []
        self.port: int = self._listening.getsockname()[1]
        self.requests: list[str] = []
        self._thread = threading.Thread(target=self._accept)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        # Closing alone does not wake who waits in it.
        for each in (self._listening, *self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listening.close()

    def _accept(self) -> None:
        serving = []
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                break
            self._open.append(client)
            serving.append(threading.Thread(target=self._serve, args=(client,)))
            serving[-1].start()
        for thread in serving:
            thread.join()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError):  # either side may be gone at any time
            head = b""
            while END not in head:
                if not (more := client.recv(65_536)):
                    return
                head += more
            line, _, rest = head.partition(b"\r\n")
            method, address, _ = line.decode().split(" ")
            self.requests.append(f"{method} {address}")
            if address.partition("?")[0] in self._blocked:
                client.sendall(REFUSAL)
                return
            if b"upgrade: websocket" not in rest.lower():
                kept = [
                    field
                    for field in rest.split(b"\r\n")
                    if not field.lower().startswith(b"connection:")
                ]
                rest = b"Connection: close\r\n" + b"\r\n".join(kept)
            with socket.create_connection((HOST, self._target)) as service:
                self._open.append(service)
                service.sendall(line + b"\r\n" + rest)
                answers = threading.Thread(target=_pump, args=(service, client))
                answers.start()
                _pump(client, service)
                answers.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    """All that comes from one to the other, and its end."""
    with suppress(OSError):
        while data := source.recv(65_536):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
