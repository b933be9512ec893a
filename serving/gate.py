"""Who may read what: keys, share links and tickets become an `Access`, or are refused.

A share link is a signed token: the key that made it, a part of the project's numbers, an end. It is
no key of the registry, so any process of the service knows it by the signature, and it ends with
its key. A ticket stands for an access for `TICKET_SECONDS` and one connection: it may stand in a
URL, as browsers give WebSockets and event streams no headers.
"""

import hashlib
import logging
import math
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, NamedTuple, TypeVar

import msgspec
import redis
from gevent.event import Event
from itsdangerous import BadData, URLSafeSerializer

from serving import query
from serving.credentials import ID_CHARS, NONCE_BYTES, Dimension, Key, ReadKey, Value, key_hash
from serving.ingest.errors import RequestError
from serving.projects import Project, Projects, Reader

_log = logging.getLogger(__name__)

TICKET_SECONDS: Final = 30
RETURN_SECONDS: Final = 600  # of one that an open connection is sent, to come back with
MIN_SHARE_SECONDS: Final = 60
SHARE_SECONDS: Final = 30 * 86_400  # unless said otherwise
MAX_SHARE_SECONDS: Final = 366 * 86_400
MAX_TOKEN_CHARS: Final = 4_000
SHARE_PREFIX: Final = "sls_"
_BEARER: Final = "bearer "


class _Share(msgspec.Struct, forbid_unknown_fields=True):
    """What a share link says: an access."""

    project: str
    key: str  # its id
    filter: dict[Dimension, Value]
    share: str  # its id; "" in a ticket that is of no share link
    share_ends: int  # epoch seconds; 0 likewise


class _Ticket(_Share):
    """What a ticket says."""

    nonce: str
    ends: int  # epoch seconds


class Access(NamedTuple):
    """What somebody may read, and why. `filters` hold for all that is asked."""

    project: Project
    filters: Mapping[str, str]
    key_id: str
    share_id: str  # "" without a share link
    share_ends: int  # epoch seconds; 0 without

    def within(self, asked: Mapping[str, str]) -> dict[str, str]:
        """Its filters and those asked for. Raises RequestError when that is more than it opens."""
        both = query.narrowed({name: (value,) for name, value in asked.items()}, self.filters)
        return {name: value for name, (value,) in both.items()}

    def whole(self) -> Project:
        """The project, for what cannot be filtered. Raises RequestError."""
        if self.filters:
            raise RequestError("filter_not_allowed", "This is of all of it.")
        return self.project


class Holder(NamedTuple):
    """Whose key or ticket a request has: an opaque name of it, and whether it opens anything."""

    key_id: str
    known: bool


class Hold:
    """One connection that an access keeps open. `code` says why it must end, when it must."""

    def __init__(self, access: Access, wake: Event) -> None:
        self.access = access
        self.code: str | None = None
        self._wake = wake

    def end(self, code: str) -> None:
        """It must; whoever serves it is woken."""
        self.code = code
        self._wake.set()

    def check(self) -> None:
        """Raises RequestError when it must end."""
        if self.code is not None:
            raise RequestError(self.code)


class Gate:
    """`client` is Redis, which knows used tickets; `secret` signs, the same in all processes."""

    def __init__(
        self,
        projects: Projects,
        client: Any,
        secret: bytes,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._projects = projects
        self._clock = clock
        self._client = client
        options = {"key_derivation": "hmac", "digest_method": hashlib.sha256}
        self._shares = URLSafeSerializer(secret, salt="share", signer_kwargs=options)
        self._tickets = URLSafeSerializer(secret, salt="ticket", signer_kwargs=options)
        self._held: set[Hold] = set()

    def reader(self, key: str, project: str | None = None) -> Access:
        """What a read key, share link or admin key opens. Raises RequestError.

        `project` is who is asked for, which only an admin key has to say.
        """
        if key.startswith(SHARE_PREFIX):
            access = self._access(self._shared(key))
        else:
            found = self._found(key)
            access = _opened(found, self._named(found, project))
        if project is not None and project != access.project.name:
            raise RequestError("project_not_allowed")
        self._still(access)
        return access

    def admin(self, key: str) -> None:
        """Raises RequestError when it is no admin key."""
        found = self._found(key)
        if found.project is not None:
            raise RequestError("admin_key_needed")
        self._check(found)

    def share(self, access: Access, filters: Mapping[str, str], seconds: int) -> "Share":
        """A link to a part of what `access` opens, with both filters. Raises RequestError."""
        ends = int(self._clock()) + seconds
        if access.share_ends:
            ends = min(ends, access.share_ends)
        shared = access._replace(
            filters=access.within(filters),
            share_id=secrets.token_hex(NONCE_BYTES),
            share_ends=ends,
        )
        token = SHARE_PREFIX + str(self._shares.dumps(_said(shared)))
        return Share(shared.share_id, token, dict(shared.filters), ends)

    def ticket(self, access: Access, seconds: int = TICKET_SECONDS) -> str:
        """For one connection, soon."""
        nonce = secrets.token_urlsafe(NONCE_BYTES)
        ends = int(self._clock()) + seconds
        return str(self._tickets.dumps(_said(access) | {"nonce": nonce, "ends": ends}))

    def redeem(self, ticket: str) -> Access:
        """What a ticket stands for, once. Raises RequestError."""
        said = _loaded(self._tickets, ticket, _Ticket, "ticket_invalid")
        left = said.ends - self._clock()
        if left <= 0 or not self._first(said.nonce, math.ceil(left)):
            raise RequestError("ticket_invalid")
        access = self._access(said)
        self._still(access)
        return access

    def holder(self, key: str, ticket: str | None) -> Holder:
        """Whose limits count for a key or a ticket, whether or not it is let in."""
        try:
            if ticket is not None:
                said: _Share = _loaded(self._tickets, ticket, _Ticket, "ticket_invalid")
            elif key.startswith(SHARE_PREFIX):
                said = self._shared(key)
            else:
                found = self._projects.reader(key)
                return Holder(key_hash(key)[:ID_CHARS], found is not None)
        except RequestError:
            return Holder("", known=False)
        return Holder(said.share or said.key, known=True)

    def ends(self, access: Access) -> int | None:
        """When it does, if nobody revokes it before: epoch seconds."""
        found = self._projects.index.by_id.get(access.key_id)
        expires = None if found is None else found.key.expires
        times = [access.share_ends] if access.share_ends else []
        return min([*times, *([] if expires is None else [int(expires.timestamp())])], default=None)

    @contextmanager
    def hold(self, access: Access, wake: Event) -> Iterator[Hold]:
        """While a connection is open; its `Hold` ends when the access does, see `sweep`."""
        held = Hold(access, wake)
        self._held.add(held)
        try:
            yield held
        finally:
            self._held.discard(held)

    def sweep(self) -> None:
        """Look at all connections: end those whose access has ended."""
        for held in list(self._held):
            try:
                self._still(held.access)
            except RequestError as error:
                held.end(error.code)

    def _named(self, found: Reader, project: str | None) -> Project:
        if found.project is not None:
            return found.project
        if project is None:
            raise RequestError("parameter_invalid", "An admin key says which project.")
        named = self._projects.by_name(project)
        if named is None:
            raise RequestError("project_not_allowed", "There is none of this name.")
        return named

    def _found(self, key: str) -> Reader:
        """Whose key of the registry it is. Raises RequestError."""
        if not key:
            raise RequestError("read_key_missing")
        found = self._projects.reader(key)
        if found is None:
            raise RequestError("read_key_unknown")
        return found

    def _shared(self, token: str) -> _Share:
        """What a share link says, whether or not it still holds. Raises RequestError."""
        return _loaded(self._shares, token.removeprefix(SHARE_PREFIX), _Share, "read_key_unknown")

    def _access(self, said: _Share) -> Access:
        project = self._projects.by_name(said.project)
        if project is None:
            raise RequestError("read_key_unknown")
        return Access(project, said.filter, said.key, said.share, said.share_ends)

    def _still(self, access: Access) -> None:
        """Raises RequestError when what gave this access is no more."""
        index = self._projects.index
        found = index.by_id.get(access.key_id)
        name = access.project.name
        if found is None or name not in index.by_name:
            raise RequestError("read_key_unknown")
        if found.project is not None and found.project.name != name:
            raise RequestError("read_key_unknown")
        self._check(found)
        if access.share_id in index.revoked_shares or not _holds(found.key, access):
            raise RequestError("read_key_revoked")
        if access.share_ends and self._clock() >= access.share_ends:
            raise RequestError("read_key_expired")

    def _check(self, found: Reader) -> None:
        ended = found.key.ended(self._clock())
        if ended is not None:
            raise RequestError(f"read_key_{ended}")

    def _first(self, nonce: str, seconds: int) -> bool:
        """Whether a ticket comes for the first time in so long. Without Redis it is not known."""
        try:
            return bool(self._client.set(f"sl:ticket:{nonce}", 1, nx=True, ex=seconds))
        except redis.RedisError as error:
            _log.warning("tickets are not checked for use: %s", error)
            return True


class Share(NamedTuple):
    """A share link. `id` is for revoking it."""

    id: str
    token: str
    filter: dict[str, str]
    ends: int  # epoch seconds


def key_of(authorization: str, read_key: str) -> str:
    """The key that these two headers say, "" without."""
    if authorization[: len(_BEARER)].lower() == _BEARER:
        return authorization[len(_BEARER) :].strip()
    return read_key


def _fixed(key: Key) -> Mapping[str, str]:
    return key.filter if isinstance(key, ReadKey) else {}


def _opened(found: Reader, project: Project) -> Access:
    return Access(project, _fixed(found.key), found.key.id, "", 0)


def _holds(key: Key, access: Access) -> bool:
    """Whether a key's filter, which may have been changed, is still part of what it gave."""
    return _fixed(key).items() <= access.filters.items()


def _said(access: Access) -> dict[str, Any]:
    return {
        "project": access.project.name,
        "key": access.key_id,
        "filter": dict(access.filters),
        "share": access.share_id,
        "share_ends": access.share_ends,
    }


_T = TypeVar("_T", bound=_Share)


def _loaded(serializer: URLSafeSerializer, token: str, kind: type[_T], code: str) -> _T:
    if len(token) > MAX_TOKEN_CHARS:
        raise RequestError(code)
    try:
        return msgspec.convert(serializer.loads(token), kind)
    except (BadData, msgspec.ValidationError):
        raise RequestError(code) from None
