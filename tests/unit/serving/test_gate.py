"""Who may read what, with a clock of its own and Redis as a dictionary."""

import json
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import redis
from gevent.event import Event
from hypothesis import given
from hypothesis import strategies as st

from serving.credentials import Key, ReadKey, WriteKey, key_hash
from serving.gate import (
    MAX_SHARE_SECONDS,
    RETURN_SECONDS,
    TICKET_SECONDS,
    Access,
    Gate,
    key_of,
)
from serving.ingest.errors import RequestError
from serving.projects import Project, Projects

NOW = 1_800_000_000
SOON = datetime.fromtimestamp(NOW + 100, UTC)
SHOP = Project(
    name="shop",
    write_keys=[WriteKey(hash=key_hash("write"))],
    read_keys=[
        ReadKey(hash=key_hash("read")),
        ReadKey(hash=key_hash("german"), filter={"country": "DE"}),
        ReadKey(hash=key_hash("ending"), expires=SOON),
        ReadKey(hash=key_hash("revoked"), revoked=SOON),
    ],
)
OTHER = Project(name="other", read_keys=[ReadKey(hash=key_hash("other"))])
ADMIN = Key(hash=key_hash("admin"))


class Used:
    """What Redis knows of tickets."""

    def __init__(self) -> None:
        self.away = False
        self.names: dict[str, int] = {}

    def set(self, name: str, _: int, *, nx: bool, ex: int) -> bool | None:
        if self.away:
            raise redis.ConnectionError("away")
        assert nx
        new = name not in self.names
        self.names[name] = ex
        return True if new else None


class Place:
    """A gate and what is around it."""

    def __init__(self, projects: Projects | None = None) -> None:
        self.now = float(NOW)
        self.used = Used()
        self.projects = projects or Projects([SHOP, OTHER], [ADMIN])
        self.gate = self.beside()

    def beside(self, secret: bytes = b"s" * 32) -> Gate:
        """Another process."""
        return Gate(self.projects, self.used, secret, lambda: self.now)


@pytest.fixture
def place() -> Place:
    return Place()


def code(error: pytest.ExceptionInfo[RequestError]) -> str:
    return error.value.code


@pytest.mark.parametrize(
    ("key", "project", "refused"),
    [
        ("", None, "read_key_missing"),
        ("nobody's", None, "read_key_unknown"),
        ("write", None, "read_key_unknown"),
        (key_hash("read"), None, "read_key_unknown"),
        ("revoked", None, "read_key_revoked"),
        ("read", "other", "project_not_allowed"),
        ("read", "nothing", "project_not_allowed"),
        ("admin", None, "parameter_invalid"),
        ("admin", "nothing", "project_not_allowed"),
        ("sls_", None, "read_key_unknown"),
        ("sls_e30.x", None, "read_key_unknown"),
        ("sls_" + "a" * 5_000, None, "read_key_unknown"),
    ],
)
def test_wrong_ways_in(place: Place, key: str, project: str | None, refused: str) -> None:
    with pytest.raises(RequestError) as error:
        place.gate.reader(key, project)
    assert code(error) == refused


def test_right_ways_in(place: Place) -> None:
    gate = place.gate
    assert gate.reader("read") == gate.reader("read", "shop")
    assert gate.reader("read").project is SHOP
    assert gate.reader("read").filters == {}
    assert gate.reader("german").filters == {"country": "DE"}
    assert [gate.reader("admin", name).project for name in ("shop", "other")] == [SHOP, OTHER]
    gate.admin("admin")
    for key, refused in (("read", "admin_key_needed"), ("x", "read_key_unknown")):
        with pytest.raises(RequestError) as error:
            gate.admin(key)
        assert code(error) == refused


def test_a_key_expires(place: Place) -> None:
    access = place.gate.reader("ending")
    assert place.gate.ends(access) == NOW + 100
    ticket = place.gate.ticket(access)
    place.now = NOW + 100
    with pytest.raises(RequestError) as error:
        place.gate.reader("ending")
    assert code(error) == "read_key_expired"
    with pytest.raises(RequestError):
        place.gate.redeem(ticket)


def test_a_filter_is_kept_to() -> None:
    access = Access(SHOP, {"country": "DE"}, "", "", 0)
    assert access.within({}) == {"country": "DE"}
    assert access.within({"device": "tv"}) == {"country": "DE", "device": "tv"}
    assert access.within({"country": "DE"}) == {"country": "DE"}
    with pytest.raises(RequestError) as error:
        access.within({"country": "US"})
    assert code(error) == "filter_not_allowed"
    with pytest.raises(RequestError):
        access.whole()
    assert access._replace(filters={}).whole() is SHOP


def test_a_ticket_is_for_once_and_soon(place: Place) -> None:
    access = place.gate.reader("german")
    ticket = place.gate.ticket(access)
    assert place.beside().redeem(ticket) == access
    for gate in (place.gate, place.beside()):
        with pytest.raises(RequestError) as error:
            gate.redeem(ticket)
        assert code(error) == "ticket_invalid"
    late = place.gate.ticket(access)
    place.now += TICKET_SECONDS
    with pytest.raises(RequestError) as error:
        place.gate.redeem(late)
    assert code(error) == "ticket_invalid"
    assert set(place.used.names.values()) == {TICKET_SECONDS}


def test_a_ticket_to_come_back_with_is_for_once_and_a_while(place: Place) -> None:
    access = place.gate.reader("german")
    ticket, late = (place.gate.ticket(access, RETURN_SECONDS) for _ in range(2))
    place.now += TICKET_SECONDS
    assert place.beside().redeem(ticket) == access
    with pytest.raises(RequestError):
        place.gate.redeem(ticket)
    # It is known to be used for as long as it could be used again.
    assert list(place.used.names.values()) == [RETURN_SECONDS - TICKET_SECONDS]
    place.now += RETURN_SECONDS - TICKET_SECONDS
    with pytest.raises(RequestError):
        place.gate.redeem(late)


def test_without_redis_a_ticket_lasts_its_time(place: Place) -> None:
    ticket = place.gate.ticket(place.gate.reader("read"))
    place.used.away = True
    assert place.gate.redeem(ticket).project is SHOP


def test_a_share_link_is_of_a_part_and_ends(place: Place) -> None:
    share = place.gate.share(place.gate.reader("german"), {"device": "tv"}, 500)
    access = place.beside().reader(share.token)
    assert access.filters == share.filter == {"country": "DE", "device": "tv"}
    assert place.gate.ends(access) == share.ends == NOW + 500
    assert place.gate.redeem(place.gate.ticket(access)) == access
    narrower = place.gate.share(access, {"category": "shoes"}, 5_000)
    assert narrower.ends == share.ends  # not beyond the link that it is from
    with pytest.raises(RequestError) as error:
        place.gate.share(access, {"country": "US"}, 500)
    assert code(error) == "filter_not_allowed"
    place.now += 500
    for token in (share.token, narrower.token):
        with pytest.raises(RequestError) as error:
            place.gate.reader(token)
        assert code(error) == "read_key_expired"


def test_a_share_link_of_another_secret_is_none(place: Place) -> None:
    share = place.beside(b"t" * 32).share(place.gate.reader("read"), {}, 500)
    with pytest.raises(RequestError) as error:
        place.gate.reader(share.token)
    assert code(error) == "read_key_unknown"


def test_a_share_link_is_no_ticket_and_the_reverse(place: Place) -> None:
    access = place.gate.reader("read")
    with pytest.raises(RequestError):
        place.gate.redeem(place.gate.share(access, {}, 500).token.removeprefix("sls_"))
    with pytest.raises(RequestError):
        place.gate.reader("sls_" + place.gate.ticket(access))


def test_a_link_for_the_longest_filter_fits_into_a_url(place: Place) -> None:
    rng = random.Random(7)
    long = {
        name: "".join(chr(rng.randint(2**16, 2**20)) for _ in range(128))
        for name in ("country", "device", "category")
    }
    token = place.gate.share(place.gate.reader("read"), long, MAX_SHARE_SECONDS).token
    ticket = place.gate.ticket(place.gate.reader(token))
    assert max(len(token), len(ticket)) < 3_000
    assert place.gate.redeem(ticket).filters == long


@given(st.integers(0, 150), st.characters(codec="ascii", categories=["L", "N", "P"]))
def test_a_changed_token_opens_nothing(at: int, other: str) -> None:
    place = Place()
    access = place.gate.reader("read")
    ticket = place.gate.ticket(access)
    changed = ticket[:at] + other + ticket[at + 1 :]
    if changed != ticket:
        with pytest.raises(RequestError) as error:
            place.gate.redeem(changed)
        assert error.value.code == "ticket_invalid"
    assert place.gate.redeem(ticket) == access


def test_connections_end_with_what_opened_them(tmp_path: Path) -> None:
    def said(read_keys: list[dict[str, Any]], **more: Any) -> None:
        project = {"name": "shop", "read_keys": read_keys}
        (tmp_path / "p.json").write_text(json.dumps({"projects": [project], **more}))

    one, two = {"hash": key_hash("one")}, {"hash": key_hash("two")}
    said([one, two])
    place = Place(Projects.load(tmp_path / "p.json"))
    gate = place.gate
    share = gate.share(gate.reader("two"), {}, 500)
    opened = [gate.reader("one"), gate.reader("two"), gate.reader(share.token)]
    wakes = [Event() for _ in opened]
    held = [gate.hold(access, wake) for access, wake in zip(opened, wakes, strict=True)]
    holds = [one.__enter__() for one in held]

    def ended() -> list[str | None]:
        place.projects.refresh()
        gate.sweep()
        assert [wake.is_set() for wake in wakes] == [hold.code is not None for hold in holds]
        return [hold.code for hold in holds]

    assert ended() == [None, None, None]
    said([one, two], revoked_shares=[share.id])
    assert ended() == [None, None, "read_key_revoked"]
    said([one | {"revoked": "2026-11-26T00:00:00Z"}, two], revoked_shares=[share.id])
    assert ended() == ["read_key_revoked", None, "read_key_revoked"]
    said([one, two | {"filter": {"country": "DE"}}])  # it opened more than it does now
    assert ended()[1] == "read_key_revoked"
    with pytest.raises(RequestError):
        holds[1].check()


def test_a_connection_that_is_over_is_forgotten(place: Place) -> None:
    with place.gate.hold(place.gate.reader("ending"), Event()) as held:
        pass
    place.now += 100
    place.gate.sweep()
    held.check()


@pytest.mark.parametrize(
    ("authorization", "header", "key"),
    [
        ("", "k", "k"),
        ("Bearer k", "", "k"),
        ("bearer  k ", "other", "k"),
        ("Basic k", "other", "other"),
        ("", "", ""),
    ],
)
def test_where_a_key_stands(authorization: str, header: str, key: str) -> None:
    assert key_of(authorization, header) == key
