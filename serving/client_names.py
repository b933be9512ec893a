"""A client's address as limits name it: a keyed hash, which neither logs nor Redis can undo.

BLAKE2b with a key, cut to 64 bits. The key is made of the Redis URL: the same in all processes that
share buckets, and with its password known only to who may read Redis anyway. Whoever has both can
try all IPv4 addresses; such a name stands in Redis only until its bucket is full again. An IPv6
client counts by its /64, since a client has that many addresses to itself (RFC 6177).
"""

from collections.abc import Callable
from functools import lru_cache
from hashlib import blake2b
from ipaddress import IPv6Address
from typing import Final

from events.address import Address

UNKNOWN: Final = "unknown"  # all clients without an address (a proxy over a local socket) are one
_IPV6_HOST_BITS: Final = 64
_NAME_BYTES: Final = 8
_HELD: Final = 20_000  # names


def client_names(secret: str) -> Callable[[Address | None], str]:
    """The naming of clients under a secret."""
    key = blake2b(secret.encode("utf-8", "surrogatepass"), digest_size=32).digest()

    @lru_cache(_HELD)
    def name(address: Address | None) -> str:
        if address is None:
            return UNKNOWN
        text = address.packed
        if isinstance(address, IPv6Address):
            text = text[: _IPV6_HOST_BITS // 8]
        return blake2b(text, digest_size=_NAME_BYTES, key=key).hexdigest()

    return name
