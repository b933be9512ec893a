"""The registry of projects: who may write, who may read, and what their revenue is counted in.

It is one JSON file, which `python -m serving.keys` makes and changes, and which a running process
follows: a key that is revoked there opens nothing a second later. Keys stand in it only as hashes;
rates say what one unit of a currency is worth in the project's:

    {"projects": [{"name": "shop", "currency": "USD", "timezone": "America/New_York",
                   "rates": {"EUR": "1.08", "GBP": "1.27"},
                   "write_keys": [{"hash": "9f86d081…", "origins": ["https://shop.example"]}],
                   "read_keys": [{"hash": "…", "filter": {"country": "DE"},
                                  "expires": "2027-01-01T00:00:00Z"}]}],
     "admin_keys": [{"hash": "…"}],
     "revoked_shares": ["…"]}

A write key is public by nature (it ships in web pages); a read key opens its project's numbers, an
admin key those of all projects, and the list of keys.
"""

import logging
from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Context, Decimal
from pathlib import Path
from typing import Annotated, Final, Literal, NamedTuple, TypeVar

import msgspec
from msgspec import Meta

from events import limits
from serving import times
from serving.credentials import Key, ReadKey, WriteKey, key_hash
from serving.ingest.errors import RequestError

_log = logging.getLogger(__name__)

T = TypeVar("T")
Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}\Z")]

MAX_RATE: Final = Decimal(1_000_000)
LOOPBACK: Final = "127.0.0.1"
FOLLOW_SECONDS: Final = 1.0  # between two looks at the file
_EXACT: Final = Context(prec=60)


class ProjectsError(ValueError):
    """A registry file that cannot be used; the message says why in one line."""


class Project(
    msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True, omit_defaults=True
):
    """One tenant. `rates`: what one unit of another currency is worth in `currency`.

    `timezone` (IANA) is whose days and clock its people go by.
    """

    name: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}\Z")]
    currency: Currency = "USD"
    timezone: str = "UTC"
    rates: dict[Currency, Decimal] = {}
    write_keys: list[WriteKey] = []
    read_keys: list[ReadKey] = []

    def revenue_micros(self, amount_micros: int, currency: str) -> int | None:
        """The amount in the project's currency, rounded half to even; None without a rate."""
        if currency == self.currency:
            return amount_micros
        rate = self.rates.get(currency)
        if rate is None:
            return None
        product = _EXACT.multiply(Decimal(amount_micros), rate)
        return int(product.to_integral_value(ROUND_HALF_EVEN))


class RegistryFile(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """All of the file."""

    projects: list[Project]
    admin_keys: list[Key] = []
    revoked_shares: list[str] = []


DEMO_WRITE_KEY: Final = "demo-write-key"
DEMO_READ_KEY: Final = "demo-read-key"
DEMO: Final = Project(
    name="demo",
    currency="USD",
    rates={"EUR": Decimal("1.08"), "GBP": Decimal("1.27")},
    write_keys=[WriteKey(hash=key_hash(DEMO_WRITE_KEY))],
    read_keys=[ReadKey(hash=key_hash(DEMO_READ_KEY))],
)


class Writer(NamedTuple):
    """Whose events a key appends."""

    project: Project
    key: WriteKey


class Reader(NamedTuple):
    """Whose numbers a key opens; an admin key (no project) those of all."""

    project: Project | None
    key: Key


class Index:
    """What the file says, by key. A key is hashed first, so a look-up's time tells nothing."""

    def __init__(self, file: RegistryFile) -> None:
        """Raises `ProjectsError`: a name or key stands twice, a rate or time zone cannot be."""
        self.file = file
        self.by_name: dict[str, Project] = {}
        self.writers: dict[str, Writer] = {}
        self.readers: dict[str, Reader] = {}
        for project in file.projects:
            _check_rates(project)
            _check_zone(project)
            _put(self.by_name, project.name, project)
            for write_key in project.write_keys:
                _put(self.writers, write_key.hash, Writer(project, write_key))
            for read_key in project.read_keys:
                _put(self.readers, read_key.hash, Reader(project, read_key))
        for key in file.admin_keys:
            _put(self.readers, key.hash, Reader(None, key))
        self.by_id: dict[str, Reader] = {}
        for reader in self.readers.values():
            _put(self.by_id, reader.key.id, reader)
        self.revoked_shares = frozenset(file.revoked_shares)


class Projects:
    """The registry as it stands; `refresh` follows the file it was loaded from."""

    def __init__(self, projects: Iterable[Project], admin_keys: Iterable[Key] = ()) -> None:
        """Raises `ProjectsError`, see `Index`."""
        self._index = Index(RegistryFile(list(projects), list(admin_keys)))
        self._path: Path | None = None
        self._stamp: object = None
        self._wrong = False

    @classmethod
    def load(cls, path: Path | None, host: str = LOOPBACK) -> "Projects":
        """The registry in a file, or the built-in demo project. Raises `ProjectsError`.

        The demo's keys are known to all, so they are for a `host` that only this machine reaches.
        """
        if path is None and host not in (LOOPBACK, "::1", "localhost"):
            raise ProjectsError(
                f"to listen on {host}, --projects is needed: the demo's keys are public"
            )
        found = cls([DEMO])
        if path is not None:
            found._path, found._stamp = path, _stamp(path)
            found._index = Index(read_file(path))
        return found

    def refresh(self) -> Literal["same", "read", "wrong"]:
        """Put in force what the file says now. While that is wrong, the last one stays."""
        if self._path is None:
            return "same"
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return "wrong" if self._wrong else "same"
        self._stamp, self._wrong = stamp, True
        try:
            self._index = Index(read_file(self._path))
        except ProjectsError as error:
            _log.error("the registry of projects is wrong, the last one stays: %s", error)
            return "wrong"
        self._wrong = False
        _log.info("the registry of projects was read again")
        return "read"

    @property
    def index(self) -> Index:
        """What is in force now."""
        return self._index

    def writer(self, key: str) -> Writer | None:
        """Who sends events with this key; it may have ended."""
        return self._index.writers.get(key_hash(key))

    def reader(self, key: str) -> Reader | None:
        """Whose numbers this key opens; it may have ended."""
        return self._index.readers.get(key_hash(key))

    def by_name(self, name: str) -> Project | None:
        """The project of that name."""
        return self._index.by_name.get(name)

    def names(self) -> list[str]:
        """All projects, in the file's order."""
        return list(self._index.by_name)


def read_file(path: Path) -> RegistryFile:
    """Raises `ProjectsError`."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=RegistryFile)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProjectsError(f"{path}: {error}") from error


def _stamp(path: Path) -> object:
    """Another one when the file is another one."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _put(index: dict[str, T], key: str, value: T) -> None:
    if key in index:
        raise ProjectsError(f"{key[:12]} stands twice")
    index[key] = value


def _check_rates(project: Project) -> None:
    for currency, rate in project.rates.items():
        digits = len(rate.as_tuple().digits)
        if not rate.is_finite() or not 0 < rate <= MAX_RATE or digits > 20:
            raise ProjectsError(f"project {project.name}: the rate of {currency} is out of range")


def _check_zone(project: Project) -> None:
    try:
        times.zone(project.timezone)
    except RequestError as error:
        raise ProjectsError(f"project {project.name}: {error.detail}") from None


def revenue_in_range(micros: int) -> bool:
    """Whether converted money still fits what the stores count in."""
    return abs(micros) <= limits.MAX_AMOUNT_MICROS
