"""What a collector lets people see of the requests that it had."""

import json
from typing import Any

from events.agent import Agent
from serving.ingest.errors import RequestError
from serving.ingest.reader import Read, Reader, Rejected
from serving.ingest.recent import EACH, Recent
from serving.ingest.rows import Sender
from serving.projects import DEMO
from stores import recent as stored
from stores.recent import MAX_TEXT, Entry

SENDER = Sender(1_750_000_000_000, "DE", Agent("tv", bot=False))


def read(*events: dict[str, Any]) -> Read:
    whole = {"type": "page_view", "user_id": "somebody", "ts": 1_750_000_000_000}
    return Reader(DEMO).read(json.dumps({"events": [whole | event for event in events]}).encode())


class Pipe:
    def __init__(self) -> None:
        self.written: dict[str, list[Entry]] = {}

    def lpush(self, key: str, *values: bytes) -> None:
        self.written.setdefault(key, []).extend(stored.decode(list(reversed(values))))

    def ltrim(self, key: str, first: int, last: int) -> None: ...

    def expire(self, key: str, seconds: int) -> None: ...


def written(recent: Recent) -> dict[str, list[Entry]]:
    pipe = Pipe()
    recent.put(pipe)
    assert not recent.waits
    return pipe.written


def test_of_an_event_there_is_what_says_nothing_about_its_user() -> None:
    recent = Recent()
    url = "https://shop.example/a/b?mail=me@example.com#secret"
    paid = {"type": "purchase", "amount": "3.50", "currency": "USD", "category": "books"}
    sample = recent.sample("shop", read({"url": url, **paid}, {"url": "/" + "x" * 300}), SENDER)
    assert not recent.waits  # until the broker has them
    recent.took("shop", sample)
    (first, second), *none = written(recent).values()
    assert none == []
    assert first.id != second.id
    assert first == Entry(
        first.id, SENDER.received_at, "purchase", "https://shop.example/a/b", "books", "DE", "tv",
        3_500_000,
    )  # fmt: skip
    assert second.url is not None
    assert len(second.url) == MAX_TEXT
    assert (second.revenue_micros, second.category) == (None, "")


def test_there_are_never_many() -> None:
    recent = Recent()
    for _ in range(3):
        samples = [recent.sample("shop", read(*[{}] * 6), SENDER) for _ in range(2)]
        for sample in samples:
            recent.took("shop", sample)
        recent.rejected("shop", 1, [Rejected(i, "event_malformed", "x") for i in range(7)])
    recent.took("other", recent.sample("other", read({}), SENDER))
    found = written(recent)
    assert [entry.accepted for entry in found["sl:{shop}:r"]] == [True] * EACH + [False] * EACH
    assert len(found["sl:{other}:r"]) == 1
    assert len({entry.id for entries in found.values() for entry in entries}) == 2 * EACH + 1
    assert written(recent) == {}
    assert len(recent.sample("shop", read({}), SENDER)) == 1  # there is room again


def test_a_whole_request_that_was_refused_says_why() -> None:
    recent = Recent()
    recent.refused("shop", 7, RequestError("body_malformed", "y" * 500))
    ((entry,),) = written(recent).values()
    assert (entry.at, entry.code, len(entry.message)) == (7, "body_malformed", MAX_TEXT)
