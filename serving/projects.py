"""The registry of projects: who may write, who may read, and what their revenue is counted in.

A file for `Projects.load` is one JSON object. Keys stand in it only as the hex of their SHA-256
(`printf %s "$KEY" | sha256sum`); rates say what one unit of a currency is worth in the project's:

    {"projects": [{"name": "shop", "currency": "USD",
                   "rates": {"EUR": "1.08", "GBP": "1.27"},
                   "write_keys": ["9f86d081…64 hex digits"], "read_keys": ["…"]}]}

A write key is public by nature (it ships in web pages); a read key opens the project's numbers.
"""

import hashlib
from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Context, Decimal
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from events import limits

Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}\Z")]
KeyHash = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]

MAX_RATE: Final = Decimal(1_000_000)
_EXACT: Final = Context(prec=60)


class ProjectsError(ValueError):
    """A registry file that cannot be used; the message says why in one line."""


class Project(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One tenant. `rates`: what one unit of another currency is worth in `currency`."""

    name: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}\Z")]
    currency: Currency = "USD"
    rates: dict[Currency, Decimal] = {}
    write_keys: list[KeyHash] = []
    read_keys: list[KeyHash] = []

    def revenue_micros(self, amount_micros: int, currency: str) -> int | None:
        """The amount in the project's currency, rounded half to even; None without a rate."""
        if currency == self.currency:
            return amount_micros
        rate = self.rates.get(currency)
        if rate is None:
            return None
        product = _EXACT.multiply(Decimal(amount_micros), rate)
        return int(product.to_integral_value(ROUND_HALF_EVEN))


class _File(msgspec.Struct, forbid_unknown_fields=True):
    projects: list[Project]


def key_hash(key: str) -> str:
    """How a key stands in the registry."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


DEMO: Final = Project(
    name="demo",
    currency="USD",
    rates={"EUR": Decimal("1.08"), "GBP": Decimal("1.27")},
    write_keys=[key_hash("demo-write-key")],
    read_keys=[key_hash("demo-read-key")],
)


class Projects:
    """Projects by key. A key is hashed first, so how long a look-up takes tells nothing of it."""

    def __init__(self, projects: Iterable[Project]) -> None:
        """Raises `ProjectsError` on a name or key that stands twice, or a rate out of range."""
        self._by_name: dict[str, Project] = {}
        self._writers: dict[str, Project] = {}
        self._readers: dict[str, Project] = {}
        for project in projects:
            _check_rates(project)
            _put(self._by_name, project.name, project)
            for hashed in project.write_keys:
                _put(self._writers, hashed, project)
            for hashed in project.read_keys:
                _put(self._readers, hashed, project)

    @classmethod
    def load(cls, path: Path | None) -> "Projects":
        """The registry in a file, or the built-in demo project. Raises `ProjectsError`."""
        if path is None:
            return cls([DEMO])
        try:
            return cls(msgspec.json.decode(path.read_bytes(), type=_File).projects)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ProjectsError(f"{path}: {error}") from error

    def by_write_key(self, key: str) -> Project | None:
        """Who may send events with this key."""
        return self._writers.get(key_hash(key))

    def by_read_key(self, key: str) -> Project | None:
        """Whose numbers this key opens."""
        return self._readers.get(key_hash(key))

    def by_name(self, name: str) -> Project | None:
        """The project of that name."""
        return self._by_name.get(name)

    def names(self) -> list[str]:
        """All projects, in the file's order."""
        return list(self._by_name)


def _put(index: dict[str, Project], key: str, project: Project) -> None:
    if key in index:
        raise ProjectsError(f"project {project.name}: {key[:12]} stands twice")
    index[key] = project


def _check_rates(project: Project) -> None:
    for currency, rate in project.rates.items():
        digits = len(rate.as_tuple().digits)
        if not rate.is_finite() or not 0 < rate <= MAX_RATE or digits > 20:
            raise ProjectsError(f"project {project.name}: the rate of {currency} is out of range")


def revenue_in_range(micros: int) -> bool:
    """Whether converted money still fits what the stores count in."""
    return abs(micros) <= limits.MAX_AMOUNT_MICROS
