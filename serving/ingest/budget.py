"""How much the process holds at once, so that no traffic and no outage can exhaust its memory."""

from serving.ingest.errors import RequestError


class Budget:
    """Counts of events and bytes held: bodies being received, buffers, messages in flight."""

    def __init__(self, max_events: int, max_bytes: int) -> None:
        self._max_events = max_events
        self._max_bytes = max_bytes
        self.events = 0
        self.bytes = 0

    def take(self, events: int, size: int) -> None:
        """Reserve. Raises `RequestError` `buffer_full`, then nothing is reserved."""
        if self.events + events > self._max_events or self.bytes + size > self._max_bytes:
            raise RequestError("buffer_full")
        self.events += events
        self.bytes += size

    def give(self, events: int, size: int) -> None:
        """Return what was reserved."""
        self.events -= events
        self.bytes -= size
