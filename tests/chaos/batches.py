"""Requests as hostile networks make them: late, malformed, of bots, of several users. Pure."""

import json
import random
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import maxminddb

from deploy.traffic import USER_AGENTS, uuid7
from events.agent import classify

ADDRESSES: Final = ("73.162.4.5", "84.160.9.1", "86.160.3.3", "126.64.7.7", "1.120.2.8")
CATEGORIES: Final = ("shoes", "shirts", "books", "")
BOT: Final = "Googlebot/2.1 (+http://www.google.com/bot.html)"
AGENTS: Final = (*list(USER_AGENTS)[:8:2], BOT)
TYPES: Final = ("page_view", "click", "purchase", "error", "sign_up")
REGULARS: Final = 300  # users who come again and again; half of the events are of new ones
LATE_SHARE: Final = 0.2  # half of it falls on odd minutes and is not late
LATE_MINUTES: Final = 5  # how late at most; only ever of even minutes, so odd ones close for good
BAD_SHARE: Final = 0.03  # of events
NAMELESS_SHARE: Final = 0.1  # of requests: without a batch id, told apart by their events' ids


class Sent(NamedTuple):
    """One event as it was sent; `minute` and `revenue` (micros) are what should be made of it."""

    id: bytes
    minute: int
    type: str
    user: str
    values: tuple[str, str, str]  # country, device, category
    bot: bool
    revenue: int


@dataclass(frozen=True)
class Batch:
    """One request: its body, its headers, what is in it, and which events must be refused."""

    body: bytes
    headers: dict[str, str]
    events: list[Sent]
    refused: frozenset[int]  # places in the request


class Countries:
    """The country of each of `ADDRESSES`."""

    def __init__(self, geo: Path | None) -> None:
        self._known = dict.fromkeys(ADDRESSES, "ZZ")
        if geo is None:
            return
        with maxminddb.open_database(str(geo)) as database:
            for address in ADDRESSES:
                entry: Any = database.get(address) or {}
                self._known[address] = entry.get("country_code") or "ZZ"

    def __getitem__(self, address: str) -> str:
        return self._known[address]


def make(rng: random.Random, now_ms: int, countries: Countries) -> Batch:
    """One request of 1 to 12 events, sent at `now_ms`."""
    address, agent = rng.choice(ADDRESSES), rng.choice(AGENTS)
    known = classify(agent)
    several = rng.random() < 0.5  # as servers send: users of several partitions in one request
    user = _user(rng)
    texts: list[Any] = []
    events: list[Sent] = []
    refused = set()
    for place in range(rng.randrange(1, 13)):
        if several:
            user = _user(rng)
        event = _event(rng, user, now_ms)
        if rng.random() < BAD_SHARE:
            refused.add(place)
            texts.append(_spoilt(rng, event))
            continue
        texts.append(event)
        values = (countries[address], known.device, event["category"])
        revenue = int(event.get("amount", "0").replace(".", "")) * 10_000
        events.append(
            Sent(
                uuid.UUID(event["id"]).bytes,
                event["ts"] // 60_000 * 60,
                event["type"],
                user,
                values,
                known.bot,
                revenue,
            )
        )
    request: dict[str, Any] = {"events": texts}
    if rng.random() >= NAMELESS_SHARE:
        request["batch_id"] = f"chaos-{rng.getrandbits(64):016x}"
    if rng.random() < 0.5:
        request["sent_at"] = now_ms
    headers = {
        "Content-Type": "application/json",
        "X-Write-Key": "demo-write-key",
        "X-Forwarded-For": address,
        "User-Agent": agent,
    }
    return Batch(json.dumps(request).encode(), headers, events, frozenset(refused))


def _user(rng: random.Random) -> str:
    if rng.random() < 0.5:
        return f"regular-{rng.randrange(REGULARS)}"
    return f"new-{rng.getrandbits(48):012x}"


def _event(rng: random.Random, user: str, now_ms: int) -> dict[str, Any]:
    ts = now_ms - rng.randrange(1_500)
    if rng.random() < LATE_SHARE:
        late = ts - rng.randrange(LATE_MINUTES * 60_000)
        ts = late if late // 60_000 % 2 == 0 else ts
    event: dict[str, Any] = {
        "id": str(uuid7(ts, rng)),
        "type": rng.choice(TYPES),
        "user_id": user,
        "ts": ts,
        "category": rng.choice(CATEGORIES),
    }
    if event["type"] == "purchase":
        event |= {"amount": f"{rng.randrange(1, 500)}.{rng.randrange(100):02d}", "currency": "USD"}
    return event


def _spoilt(rng: random.Random, event: dict[str, Any]) -> Any:
    """The same event in a form that must be refused."""
    return rng.choice(
        (
            {**event, "ts": "yesterday"},
            {**event, "ts": 1},
            {**event, "type": "Page View"},
            {key: value for key, value in event.items() if key != "user_id"},
            {**event, "amount": "1.00", "currency": "dollars"},
            {**event, "props": {"deep": {"er": 1}}},
            "not an event",
        )
    )
