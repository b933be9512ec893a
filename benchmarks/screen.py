"""Dashboards without a picture: WebSocket clients of the service that note what they are shown.

All in one process; each keeps the minutes that it was sent, as the dashboard does, and writes down
when their sum grew.
"""

import threading
import time
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec
import websocket

from benchmarks.curves import Curve, curve
from benchmarks.piped import Piped

START: Final = 60.0  # seconds to the first snapshot of all
SILENT: Final = 30.0  # seconds without a message: the service pushes every refresh


class Push(msgspec.Struct):
    """What is read of a message of `/v1/live` (see `serving.view`)."""

    type: str
    time: list[int] = []
    events: list[int] = []
    revenue: list[float] = []


class Minutes:
    """What one screen shows: events and revenue by minute, and their sums."""

    def __init__(self) -> None:
        self._minutes: dict[int, tuple[int, int]] = {}
        self.events = 0
        self.micros = 0

    def show(self, push: Push) -> None:
        """Take a snapshot or a delta. Minutes that have left the screen stay in the sums."""
        for at, events, revenue in zip(push.time, push.events, push.revenue, strict=True):
            before = self._minutes.get(at, (0, 0))
            now = self._minutes[at] = events, round(revenue * 1_000_000)
            self.events += now[0] - before[0]
            self.micros += now[1] - before[1]


class Shown(NamedTuple):
    """Of one screen: when it showed how many events, the revenue at the end, messages so far."""

    curve: Curve
    micros: int
    pushes: int


Filter = dict[str, str]  # dimension → value; none: the total


class Screens(Piped):
    """A process with a socket for each of `filters`, all on the project of the key."""

    def __init__(self, port: int, key: str, filters: Sequence[Filter]) -> None:
        self.filters = list(filters)
        super().__init__("the screens", START, _main, port, key, self.filters)

    def counts(self) -> list[int]:
        """How many events each shows now. Raises RuntimeError when one is cut."""
        self._pipe.send("counts")
        return list(self._reply(SILENT))

    def shown(self) -> list[Shown]:
        """Of each screen, everything so far. Raises RuntimeError when one is cut."""
        self._pipe.send("shown")
        found = self._reply(SILENT)
        return [Shown(curve(points), micros, pushes) for points, micros, pushes in found]


class _Screen:
    """One socket, read by a thread of its own."""

    def __init__(self, port: int, key: str, chosen: Filter) -> None:
        self._minutes = Minutes()
        self._socket = websocket.create_connection(
            f"ws://127.0.0.1:{port}/v1/live", timeout=SILENT, header={"X-Read-Key": key}
        )
        wish = {"type": "subscribe", "filter": chosen}
        self._socket.send(msgspec.json.encode(wish).decode())
        self.points: list[tuple[float, int]] = []
        self.micros = self.pushes = 0
        self.failed = ""
        self._show()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        try:
            while True:
                self._show()
        except (websocket.WebSocketException, OSError, RuntimeError) as error:
            self.failed = f"{type(error).__name__}: {error}"

    def _show(self) -> None:
        text = self._socket.recv()
        now = time.time()
        push = msgspec.json.decode(text, type=Push)
        if push.type == "error":
            raise RuntimeError(str(text)[:300])
        self._minutes.show(push)
        self.micros = self._minutes.micros
        self.pushes += 1
        if not self.points or self._minutes.events > self.points[-1][1]:
            self.points.append((now, self._minutes.events))


def _main(port: int, key: str, filters: list[Filter], pipe: Any) -> None:
    screens = [_Screen(port, key, chosen) for chosen in filters]
    pipe.send(len(screens))
    while True:
        asked = pipe.recv()
        dark = [screen.failed for screen in screens if screen.failed]
        if dark:
            pipe.send(dark[0])
        elif asked == "counts":
            pipe.send([screen.points[-1][1] for screen in screens])
        else:
            pipe.send([(list(s.points), s.micros, s.pushes) for s in screens])
