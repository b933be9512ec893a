"""Keys as the registry holds them: hashed, with what each may do and until when.

A key is 160 random bits after a prefix that says what it opens (`slw_` write, `slr_` read, `sla_`
admin), so scanners for leaked secrets can know it. With so many bits one SHA-256 is hash enough.
"""

import hashlib
import re
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from stores.pane import DIMENSIONS

KeyHash = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
Moment = Annotated[datetime, Meta(tz=True)]
Origin = Annotated[str, Meta(pattern=r"^https?://(\*\.)?[a-z0-9.-]+(:[0-9]{1,5})?\Z")]
Dimension = Annotated[str, Meta(pattern=rf"^({'|'.join(DIMENSIONS)})\Z")]
Value = Annotated[str, Meta(min_length=1, max_length=128)]
Kind = Literal["write", "read", "admin"]

ID_CHARS: Final = 12
PREFIXES: Final[Mapping[Kind, str]] = {"write": "slw_", "read": "slr_", "admin": "sla_"}
_BYTES: Final = 20
NONCE_BYTES: Final = 9
SHARE_ID_CHARS: Final = 2 * NONCE_BYTES


class Key(
    msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True, omit_defaults=True
):
    """What all keys have. `hash` is the hex of the key's SHA-256."""

    hash: KeyHash
    label: Annotated[str, Meta(max_length=100)] = ""
    created: Moment | None = None
    expires: Moment | None = None
    revoked: Moment | None = None

    @property
    def id(self) -> str:
        """What a key is called where it must not be said itself."""
        return self.hash[:ID_CHARS]

    def ended(self, now: float) -> Literal["revoked", "expired"] | None:
        """Why it opens nothing at `now` (epoch seconds), if so."""
        if self.revoked is not None:
            return "revoked"
        if self.expires is not None and now >= self.expires.timestamp():
            return "expired"
        return None


class WriteKey(Key, frozen=True):
    """May append events to its project; with `origins`, only from pages of those."""

    origins: list[Origin] = []


class ReadKey(Key, frozen=True):
    """Opens its project's numbers; with `filter`, only that part of them."""

    filter: dict[Dimension, Value] = {}


def key_hash(key: str) -> str:
    """How a key stands in the registry."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def new_key(kind: Kind) -> str:
    """A key nobody has yet."""
    return PREFIXES[kind] + secrets.token_hex(_BYTES)


def origin_matches(origin: str, patterns: list[str]) -> bool:
    """Whether a request's Origin is one of these; `https://*.shop.example` is all below it."""
    return any(
        origin == pattern or ("*." in pattern and _below(origin, *pattern.split("*.", 1)))
        for pattern in patterns
    )


_LABELS: Final = re.compile(r"([a-z0-9-]+\.)+")


def _below(origin: str, scheme: str, host: str) -> bool:
    rest = origin.removeprefix(scheme)
    if rest == origin or not rest.endswith(host):
        return False
    return _LABELS.fullmatch(rest.removesuffix(host)) is not None


def described(key: Key) -> dict[str, Any]:
    """A key for lists: all but its hash."""
    found: dict[str, Any] = msgspec.to_builtins(key)
    return {"id": key.id} | {name: value for name, value in found.items() if name != "hash"}


def now_utc() -> datetime:
    """To the second, as the registry is read by people."""
    return datetime.now(UTC).replace(microsecond=0)
