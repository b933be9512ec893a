"""A request that is refused as a whole, and how that looks to the client."""

import msgspec

from events.reasons import REQUEST_ERRORS

Headers = list[tuple[bytes, bytes]]


class RequestError(Exception):
    """`code` is one of `events.reasons.REQUEST_ERRORS`, which gives status and message.

    `headers` go with the answer, in lower case.
    """

    def __init__(self, code: str, detail: str = "", headers: Headers | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail
        self.headers: Headers = headers or []

    @property
    def status(self) -> int:
        """The HTTP status."""
        return REQUEST_ERRORS[self.code].status

    @property
    def message(self) -> str:
        """For people."""
        message = REQUEST_ERRORS[self.code].message
        return f"{message} {self.detail}" if self.detail else message

    def body(self) -> bytes:
        """The envelope `{"error": {"code": …, "message": …}}`."""
        return msgspec.json.encode({"error": {"code": self.code, "message": self.message}})


class ClientGone(Exception):
    """The client closed the connection: there is nobody to answer."""
