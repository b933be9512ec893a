"""The client's address behind proxies. It is used for the country and, hashed, for limits
(`serving.client_names`), and then forgotten.

`X-Forwarded-For` is written from left to right, each proxy adding the peer it saw, so only its
right end is ours: it is walked from there for as long as the hop is a proxy we trust.
"""

import ipaddress
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

LOOPBACK: Final = ("127.0.0.0/8", "::1/128")
MAX_HOPS: Final = 32
MAX_HOP_CHARS: Final = 64  # what is longer is no address, and would only fill the cache


class TrustedProxies:
    """The networks whose word about the peer before them is believed; by default loopback only."""

    def __init__(self, networks: Iterable[str] = LOOPBACK) -> None:
        """Raises ValueError when one is not a network in CIDR form."""
        self._networks: list[Network] = [ipaddress.ip_network(text) for text in networks]

    def client_address(self, peer: str | None, forwarded_for: str = "") -> Address | None:
        """The nearest address that is no trusted proxy, else the farthest known; None: unknown.

        A hop that is no address ends the walk: what stands left of it cannot be believed.
        """
        address = parse(peer) if peer else None
        if not forwarded_for or address is None:
            return address
        for hop in reversed(forwarded_for.rsplit(",", MAX_HOPS)):
            if not self._trusts(address):
                break
            before = parse(hop) if len(hop) <= MAX_HOP_CHARS else None
            if before is None:
                break
            address = before
        return address

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self._networks)


@lru_cache(20_000)
def parse(text: str) -> Address | None:
    """An address as proxies write it: with or without port or brackets; `::ffff:` is unmapped."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        return address.ipv4_mapped or address
    return address
