"""Simulated visitors: who they are, and what each does in one visit. Pure: a seed gives the same.

Addresses are of large access networks, so that the country lookup has something real to find; they
are only ever a header's value.
"""

import ipaddress
import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

CATEGORIES: Final = {
    # name → (share of visits, lowest and highest price in cents)
    "shoes": (22, 3_900, 18_900),
    "shirts": (20, 900, 6_900),
    "phones": (14, 19_900, 129_900),
    "books": (14, 600, 4_900),
    "toys": (10, 700, 8_900),
    "garden": (8, 1_200, 24_900),
    "kitchen": (8, 1_500, 39_900),
    "music": (4, 500, 29_900),
}
NETWORKS: Final = {
    # network → share of users; the comment is the country that the database gives
    "73.162.0.0/16": 13,  # US
    "98.207.0.0/16": 10,  # US
    "71.198.0.0/16": 7,  # US
    "84.160.0.0/14": 9,  # DE
    "91.0.0.0/14": 4,  # DE
    "86.160.0.0/14": 8,  # GB
    "90.16.0.0/14": 7,  # FR
    "126.64.0.0/14": 6,  # JP
    "117.196.0.0/14": 6,  # IN
    "177.32.0.0/14": 5,  # BR
    "99.240.0.0/14": 4,  # CA
    "1.120.0.0/14": 3,  # AU
    "175.208.0.0/14": 3,  # KR
    "79.32.0.0/14": 3,  # IT
    "83.40.0.0/14": 3,  # ES
    "84.24.0.0/14": 2,  # NL
    "78.72.0.0/14": 2,  # SE
    "83.20.0.0/14": 2,  # PL
    "189.144.0.0/14": 1,  # MX
    "41.0.0.0/14": 1,  # ZA
    "78.176.0.0/14": 1,  # TR
}
_APPLE: Final = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
_CHROME: Final = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0"
USER_AGENTS: Final = {
    # header → share of users: desktop 46, phone 46, tablet 8
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_CHROME} Safari/537.36": 22,
    f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {_APPLE} Version/17.6 Safari/605.1.15": 9,
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:133.0) Gecko/20100101 Firefox/133.0": 6,
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_CHROME} Safari/537.36 Edg/131.0.0.0": 6,
    "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0": 3,
    f"Mozilla/5.0 (iPhone; CPU iPhone OS 17_6 like Mac OS X) {_APPLE} Version/17.6 "
    "Mobile/15E148 Safari/604.1": 20,
    f"Mozilla/5.0 (Linux; Android 14; Pixel 8) {_CHROME} Mobile Safari/537.36": 14,
    f"Mozilla/5.0 (Linux; Android 13; SM-S911B) {_CHROME} Mobile Safari/537.36": 12,
    f"Mozilla/5.0 (iPad; CPU OS 16_7 like Mac OS X) {_APPLE} Version/16.6 "
    "Mobile/15E148 Safari/604.1": 5,
    f"Mozilla/5.0 (Linux; Android 13; SM-X200) {_CHROME} Safari/537.36": 3,
}
TYPES: Final = {"page_view": 70, "click": 20, "purchase": 4, "error": 2}  # the rest of 100: custom
CUSTOM_TYPES: Final = ("add_to_cart", "search", "sign_up")
MAX_BURST: Final = 20

Event = dict[str, Any]


class User(NamedTuple):
    """A visitor with what stays the same from visit to visit."""

    user_id: str
    address: str
    user_agent: str


@dataclass(frozen=True)
class Visit:
    """One request: a user's burst of 1 to 20 events, the newest last."""

    user: User
    events: list[Event]


def users(count: int, rng: random.Random) -> list[User]:
    """`count` visitors with an address and a browser each."""
    networks = [ipaddress.IPv4Network(network) for network in NETWORKS]
    chosen = rng.choices(networks, weights=list(NETWORKS.values()), k=count)
    agents = rng.choices(list(USER_AGENTS), weights=list(USER_AGENTS.values()), k=count)
    return [
        User(f"user-{number:05d}", str(network[rng.randrange(1, network.num_addresses - 1)]), agent)
        for number, (network, agent) in enumerate(zip(chosen, agents, strict=True))
    ]


def visit(user: User, now_ms: int, rng: random.Random) -> Visit:
    """One burst that ends at `now_ms`: a look around one category, rarely a purchase."""
    count = min(MAX_BURST, 1 + int(rng.expovariate(1 / 5.0)))
    names = list(CATEGORIES)
    category = rng.choices(names, weights=[share for share, _, _ in CATEGORIES.values()])[0]
    session = f"s-{rng.getrandbits(64):016x}"
    gaps = [rng.randrange(20, 400) for _ in range(count)]
    times = [now_ms - sum(gaps[index + 1 :]) for index in range(count)]
    return Visit(user, [_event(user, session, category, ts, rng) for ts in times])


def _event(user: User, session: str, category: str, ts: int, rng: random.Random) -> Event:
    item = rng.randrange(1, 200)
    kinds = [*TYPES, "custom"]
    kind = rng.choices(kinds, weights=[*TYPES.values(), 100 - sum(TYPES.values())])[0]
    event: Event = {
        "id": str(uuid7(ts, rng)),
        "type": rng.choice(CUSTOM_TYPES) if kind == "custom" else kind,
        "user_id": user.user_id,
        "session_id": session,
        "ts": ts,
        "url": f"/{category}/{item}",
        "category": category,
    }
    if kind == "purchase":
        _, low, high = CATEGORIES[category]
        cents = int(rng.triangular(low, high, low + (high - low) / 5))
        event |= {"amount": f"{cents // 100}.{cents % 100:02d}", "currency": "USD"}
        event["props"] = {"items": rng.randrange(1, 4)}
    elif kind == "click":
        event["props"] = {"target": rng.choice(("image", "add", "filter", "menu"))}
    elif kind == "error":
        event["props"] = {"code": rng.choice((404, 500, 503)), "message": "request failed"}
    return event


def uuid7(ms: int, rng: random.Random) -> uuid.UUID:
    """A UUID of version 7 (RFC 9562): 48 bits of unix milliseconds, then random bits."""
    value = (ms & (1 << 48) - 1) << 80 | rng.getrandbits(80)
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return uuid.UUID(int=value)


def rates(mean: float, rng: random.Random) -> Iterator[float]:
    """A slow random walk of events per second around `mean`, within half and one and a half of it.

    One value per second; it is drawn back to the mean, so the average over an hour is near it.
    """
    level = 0.0  # of log2: -1 is half
    while True:
        level += rng.gauss(0, 0.04) - 0.01 * level
        level = max(-1.0, min(0.58, level))
        yield mean * 2.0**level
