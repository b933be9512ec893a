import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.limits import MAX_AMOUNT_MICROS
from serving.credentials import key_hash
from serving.projects import DEMO, MAX_RATE, Project, Projects, ProjectsError

SHOP = {
    "name": "shop",
    "currency": "EUR",
    "rates": {"USD": "0.92"},
    "write_keys": [{"hash": key_hash("w1")}, {"hash": key_hash("w2")}],
    "read_keys": [{"hash": key_hash("r1")}],
}


def load(tmp_path: Any, *projects: Any) -> Any:
    path = tmp_path / "projects.json"
    path.write_text(json.dumps({"projects": list(projects)}))
    return Projects.load(path)


def writes(projects: Projects, key: str) -> Project | None:
    found = projects.writer(key)
    return None if found is None else found.project


def reads(projects: Projects, key: str) -> Project | None:
    found = projects.reader(key)
    return None if found is None else found.project


def test_without_a_file_there_is_the_demo():
    projects = Projects.load(None)
    assert projects.names() == ["demo"]
    assert writes(projects, "demo-write-key") is DEMO
    assert reads(projects, "demo-read-key") is DEMO
    assert projects.by_name("demo") is DEMO


def test_a_key_opens_one_thing_only():
    projects = Projects.load(None)
    assert writes(projects, "demo-read-key") is None
    assert reads(projects, "demo-write-key") is None
    assert writes(projects, key_hash("demo-write-key")) is None
    assert writes(projects, "") is None


def test_a_file(tmp_path):
    projects = load(tmp_path, SHOP, {"name": "empty"})
    shop = writes(projects, "w2")
    assert shop is not None
    assert shop.name == "shop"
    assert reads(projects, "r1") is shop
    assert writes(projects, "demo-write-key") is None
    assert projects.names() == ["shop", "empty"]


@pytest.mark.parametrize(
    "change",
    [
        {"name": "Not a name"},
        {"name": "x\n"},
        {"currency": "euro"},
        {"timezone": "Europe/Nowhere"},
        {"timezone": "../UTC"},
        {"rates": {"USD": "0"}},
        {"rates": {"USD": "-1"}},
        {"rates": {"USD": "NaN"}},
        {"rates": {"USD": "1e9"}},
        {"rates": {"usd": "1"}},
        {"write_keys": [{"hash": "demo-write-key"}]},
        {"write_keys": [{"hash": key_hash("a")}, {"hash": key_hash("a")}]},
        {"write_keys": [key_hash("a")]},
        {"write_keys": [{"hash": key_hash("a"), "origins": ["shop.example"]}]},
        {"write_keys": [{"hash": key_hash("a"), "origins": ["https://shop.example/"]}]},
        {"write_keys": [{"hash": key_hash("a"), "filter": {"country": "DE"}}]},
        {"read_keys": [{"hash": key_hash("a"), "filter": {"city": "Bonn"}}]},
        {"read_keys": [{"hash": key_hash("a"), "filter": {"country": ""}}]},
        {"read_keys": [{"hash": key_hash("a"), "expires": "2027-01-01T00:00:00"}]},
        {"write_key": {"hash": key_hash("a")}},
    ],
)
def test_a_bad_file_is_refused(tmp_path, change):
    with pytest.raises(ProjectsError):
        load(tmp_path, {**SHOP, **change})


def test_two_projects_cannot_share_a_name_or_a_key(tmp_path):
    with pytest.raises(ProjectsError):
        load(tmp_path, SHOP, SHOP)
    with pytest.raises(ProjectsError):
        load(tmp_path, SHOP, {**SHOP, "name": "other"})


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ProjectsError):
        Projects.load(tmp_path / "none.json")


def test_the_demo_is_for_this_machine_only():
    with pytest.raises(ProjectsError, match="--projects is needed"):
        Projects.load(None, "0.0.0.0")


def test_the_file_is_followed(tmp_path, caplog):
    projects = load(tmp_path, SHOP)
    path = tmp_path / "projects.json"
    assert projects.refresh() == "same"
    path.write_text("{")
    assert [projects.refresh(), projects.refresh()] == ["wrong", "wrong"]
    assert writes(projects, "w1") is not None
    assert len(caplog.records) == 1
    path.unlink()
    assert projects.refresh() == "wrong"
    assert writes(projects, "w1") is not None
    path.write_text(json.dumps({"projects": [SHOP | {"write_keys": []}]}))
    assert [projects.refresh(), projects.refresh()] == ["read", "same"]
    assert writes(projects, "w1") is None
    assert Projects.load(None).refresh() == "same"


def test_an_admin_key_is_of_no_project(tmp_path):
    path = tmp_path / "projects.json"
    path.write_text(json.dumps({"projects": [SHOP], "admin_keys": [{"hash": key_hash("a")}]}))
    found = Projects.load(path).reader("a")
    assert found is not None
    assert found.project is None
    path.write_text(json.dumps({"projects": [SHOP], "admin_keys": [{"hash": key_hash("r1")}]}))
    with pytest.raises(ProjectsError):
        Projects.load(path)


@pytest.mark.parametrize(
    ("micros", "rate", "revenue"), [(1, "0.5", 0), (3, "0.5", 2), (5, "0.5", 2), (-3, "0.5", -2)]
)
def test_revenue_is_rounded_half_to_even(micros, rate, revenue):
    project = Project(name="p", rates={"EUR": Decimal(rate)})
    assert project.revenue_micros(micros, "EUR") == revenue


def test_a_currency_without_a_rate_has_no_revenue():
    assert DEMO.revenue_micros(1, "JPY") is None
    assert DEMO.revenue_micros(1_000_000, "USD") == 1_000_000
    assert DEMO.revenue_micros(1_000_000, "EUR") == 1_080_000


@given(
    st.integers(-MAX_AMOUNT_MICROS, MAX_AMOUNT_MICROS),
    st.decimals("0.000001", MAX_RATE, places=6),
)
def test_revenue_is_exact_to_half_a_micro(micros, rate):
    revenue = Project(name="p", rates={"EUR": rate}).revenue_micros(micros, "EUR")
    assert revenue is not None
    assert 2 * abs(revenue * 10**6 - micros * int(rate.scaleb(6))) <= 10**6
