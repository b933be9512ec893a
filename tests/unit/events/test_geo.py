import ipaddress
from typing import Any

import maxminddb
import pytest

from events.geo import CountryLookup

ADDRESS = ipaddress.ip_address("198.51.100.1")


class Reader:
    """In place of a database: answers one record, counts the questions."""

    def __init__(self, record: Any) -> None:
        self.record = record
        self.asked = 0

    def get(self, address: Any) -> Any:
        self.asked += 1
        if isinstance(self.record, Exception):
            raise self.record
        return self.record


@pytest.fixture
def lookup_of(monkeypatch: Any, tmp_path: Any) -> Any:
    def make(record: Any) -> Any:
        reader = Reader(record)
        monkeypatch.setattr(maxminddb, "open_database", lambda path, mode: reader)
        return CountryLookup(tmp_path / "x.mmdb"), reader

    return make


def test_without_a_database_nothing_is_known():
    assert CountryLookup(None).country(ADDRESS) == "ZZ"


@pytest.mark.parametrize(
    ("record", "country"),
    [
        ({"country_code": "DE"}, "DE"),  # DB-IP
        ({"country": {"iso_code": "fr"}}, "FR"),  # MaxMind
        ({"country": {}}, "ZZ"),
        ({"country_code": "XYZ"}, "ZZ"),
        ({"country_code": 7}, "ZZ"),
        (["DE"], "ZZ"),
        (None, "ZZ"),
        (ValueError("IPv6 in an IPv4 database"), "ZZ"),
    ],
)
def test_record_shapes(lookup_of, record, country):
    lookup, _ = lookup_of(record)
    assert lookup.country(ADDRESS) == country


def test_an_address_is_looked_up_once(lookup_of):
    lookup, reader = lookup_of({"country_code": "DE"})
    assert [lookup.country(ADDRESS) for _ in range(3)] == ["DE"] * 3
    assert reader.asked == 1


def test_an_unknown_address_is_not_looked_up(lookup_of):
    lookup, reader = lookup_of({"country_code": "DE"})
    assert lookup.country(None) == "ZZ"
    assert reader.asked == 0


def test_a_file_that_is_no_database_is_refused(tmp_path):
    path = tmp_path / "x.mmdb"
    path.write_bytes(b"no database")
    with pytest.raises(maxminddb.InvalidDatabaseError):
        CountryLookup(path)
