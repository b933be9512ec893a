"""Clients: some threads that send to both collectors, retry as a good client does, or give up."""

import json
import math
import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from typing import Final

from tests.chaos.batches import Batch, Countries, make
from tests.chaos.record import Record

SENDERS: Final = 6
PAUSE: Final = 0.3  # seconds between two requests of a sender, on average
TIMEOUT: Final = 5.0  # seconds for one try
PATIENCE: Final = 75.0  # seconds of tries; must stay below the horizon of duplicates (2 minutes)
HASTY_SHARE: Final = 0.4  # of requests: given up after one or two tries
REPEAT_SHARE: Final = 0.15  # of requests: sent again after they were acknowledged


class Client:
    """One sender: a connection to each collector, its own dice."""

    def __init__(
        self,
        ports: Sequence[int],
        record: Record,
        countries: Countries,
        stopping: threading.Event,
        rng: random.Random,
    ) -> None:
        self._connections = [HTTPConnection("127.0.0.1", port, timeout=TIMEOUT) for port in ports]
        self._record = record
        self._countries = countries
        self._stopping = stopping
        self._rng = rng
        self._later: list[tuple[float, Batch]] = []  # to be repeated, and when

    def run(self) -> None:
        """Send until told to stop; what is under way then is brought to an end."""
        try:
            while not self._stopping.wait(self._rng.uniform(0, 2 * PAUSE)):
                batch = make(self._rng, time.time_ns() // 1_000_000, self._countries)
                if self._deliver(batch) and self._rng.random() < REPEAT_SHARE:
                    delay = self._rng.choice((0.0, 0.0, self._rng.uniform(0, 20)))
                    self._later.append((time.monotonic() + delay, batch))
                self._repeat()
        finally:
            for connection in self._connections:
                connection.close()

    def _deliver(self, batch: Batch) -> bool:
        """Whether a 202 was seen, at the first try or a later one."""
        most = self._rng.choice((1, 2)) if self._rng.random() < HASTY_SHARE else math.inf
        deadline = time.monotonic() + PATIENCE
        tries, pause = 0, 0.2
        which = self._rng.randrange(len(self._connections))
        self._record.begins(batch)
        while True:
            if self._post(which, batch):
                self._record.acknowledge(batch)
                return True
            tries += 1
            if tries >= most or time.monotonic() + pause > deadline:
                return False
            self._record.retry()
            time.sleep(pause)
            pause = min(3.0, pause * 2)
            if self._rng.random() < 0.5:
                which = self._rng.randrange(len(self._connections))

    def _repeat(self) -> None:
        now = time.monotonic()
        due = [batch for at, batch in self._later if at <= now]
        self._later = [(at, batch) for at, batch in self._later if at > now]
        for batch in due:
            self._record.repeat()
            self._post(self._rng.randrange(len(self._connections)), batch)

    def _post(self, which: int, batch: Batch) -> bool:
        connection = self._connections[which]
        try:
            connection.request("POST", "/v1/events", batch.body, batch.headers)
            response = connection.getresponse()
            status, text = response.status, response.read()
        except (OSError, HTTPException):
            connection.close()
            return False
        if status == 503:
            self._record.busy()
            if response.headers["Retry-After"] is None:
                self._record.complain(f"collector {which + 1} said 503 without Retry-After")
            return False
        if status != 202:
            self._record.complain(f"collector {which + 1} said {status}: {text[:300]!r}")
            return False
        answer = json.loads(text)
        refused = {one["index"] for one in answer["rejected"]}
        if refused != batch.refused or answer["accepted"] != len(batch.events):
            self._record.complain(
                f"refused {sorted(refused)} and not {sorted(batch.refused)},"
                f" accepted {answer['accepted']} and not {len(batch.events)}: {batch.body[:500]!r}"
            )
        return True


@contextmanager
def traffic(
    ports: Sequence[int],
    record: Record,
    countries: Countries,
    seed: str,
    senders: int = SENDERS,
) -> Iterator[list[threading.Thread]]:
    """Senders while the block runs; at its end all of them have an answer or have given up."""
    stopping = threading.Event()
    threads = [
        threading.Thread(
            target=Client(
                ports, record, countries, stopping, random.Random(f"{seed}/{number}")
            ).run,
            name=f"sender-{number}",
        )
        for number in range(senders)
    ]
    for thread in threads:
        thread.start()
    try:
        yield threads
    finally:
        stopping.set()
        for thread in threads:
            thread.join(PATIENCE + 3 * TIMEOUT)
    if any(thread.is_alive() for thread in threads):
        raise AssertionError("a sender hangs")
