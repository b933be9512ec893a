"""A request that is refused as a whole, and how that looks to the client."""

import msgspec

from events.reasons import REQUEST_ERRORS

Headers = list[tuple[bytes, bytes]]


class RequestError(Exception):
    """`code` is one of `events.reasons.REQUEST_ERRORS`, which gives status and message."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail

    @property
    def status(self) -> int:
        """The HTTP status."""
        return REQUEST_ERRORS[self.code].status

    def body(self) -> bytes:
        """The envelope `{"error": {"code": …, "message": …}}`."""
        message = REQUEST_ERRORS[self.code].message
        if self.detail:
            message = f"{message} {self.detail}"
        return msgspec.json.encode({"error": {"code": self.code, "message": message}})


class ClientGone(Exception):
    """The client closed the connection: there is nobody to answer."""
