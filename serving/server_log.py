"""gunicorn's own messages, without what they say about clients, and in the format of all others."""

from typing import Any

from gunicorn import glogging


class ServerLog(glogging.Logger):
    """Hands gunicorn's messages to the root logger. Two of them name an address or a whole URL."""

    def setup(self, cfg: Any) -> None:
        """Without handlers of its own."""
        super().setup(cfg)
        for handler in list(self.error_log.handlers):
            self.error_log.removeHandler(handler)
        self.error_log.propagate = True

    def warning(self, msg: object, *args: Any, **kwargs: Any) -> None:
        """A malformed request is told without its sender and its text."""
        if str(msg).startswith("Invalid request from ip="):
            msg, args = "a request was malformed", ()
        super().warning(msg, *args, **kwargs)

    def exception(self, msg: object, *args: Any, **kwargs: Any) -> None:
        """A failed request is told without its URL, which may hold a key."""
        if str(msg).startswith("Error handling request"):
            msg, args = "a request failed outside the application", ()
        super().exception(msg, *args, **kwargs)
