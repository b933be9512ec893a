"""What was sent and what became of it, by the sender's own word. Thread-safe."""

import threading
import time
from collections.abc import Collection
from dataclasses import dataclass

from tests.chaos.batches import Batch, Sent


@dataclass(frozen=True)
class Standing:
    """The record at one moment. An event is in one of the two."""

    acknowledged: dict[bytes, Sent]
    unknown: dict[bytes, Sent]  # no answer, an error, or still under way


class Record:
    """Every event by id, and every answer that was wrong in itself."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._acknowledged: dict[bytes, Sent] = {}
        self._unknown: dict[bytes, Sent] = {}
        self._complaints: list[str] = []
        self._refused = 0
        self._repeats = 0
        self._retries = 0
        self._busy = 0

    def begins(self, batch: Batch) -> None:
        """Its first try is about to be sent: from now on its events may arrive."""
        with self._lock:
            self._unknown.update((event.id, event) for event in batch.events)

    def acknowledge(self, batch: Batch) -> None:
        """A 202 was seen."""
        with self._lock:
            self._refused += len(batch.refused)
            for event in batch.events:
                self._unknown.pop(event.id, None)
                self._acknowledged[event.id] = event

    def retry(self) -> None:
        """A request is sent again for want of an answer."""
        with self._lock:
            self._retries += 1

    def busy(self) -> None:
        """A request was answered 503."""
        with self._lock:
            self._busy += 1

    def repeat(self) -> None:
        """A request is sent again though it was acknowledged."""
        with self._lock:
            self._repeats += 1

    def complain(self, text: str) -> None:
        """The product said something that is wrong whatever had been killed."""
        with self._lock:
            self._complaints.append(f"{time.strftime('%H:%M:%S')} {text}")

    def complaints(self) -> list[str]:
        """All so far."""
        with self._lock:
            return list(self._complaints)

    def acknowledged(self) -> int:
        """How many events."""
        with self._lock:
            return len(self._acknowledged)

    def standing(self) -> Standing:
        """A copy."""
        with self._lock:
            return Standing(dict(self._acknowledged), dict(self._unknown))

    def counts(self) -> dict[str, int]:
        """In events; retries, repeats and busy (503) in requests."""
        with self._lock:
            return {
                "acknowledged": len(self._acknowledged),
                "unknown": len(self._unknown),
                "refused": self._refused,
                "retries": self._retries,
                "busy": self._busy,
                "repeats": self._repeats,
            }


def arrived(standing: Standing, stored: Collection[bytes]) -> list[Sent]:
    """The acknowledged, and of the unknown those that are stored."""
    came = [event for id, event in standing.unknown.items() if id in stored]
    return [*standing.acknowledged.values(), *came]
