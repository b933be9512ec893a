"""The registry as its command line makes it."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from serving.credentials import key_hash
from serving.keys import main
from serving.projects import Projects, read_file


class Registry:
    """A file, and what the command line says about it."""

    def __init__(self, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.path = path
        self._capsys = capsys

    def __call__(self, *arguments: str) -> str:
        """What it prints; AssertionError when it fails."""
        code = main([str(self.path), *arguments])
        found = self._capsys.readouterr()
        assert code == 0, found.err
        return found.out.strip()

    def refused(self, *arguments: str) -> str:
        """Why it cannot; the file is then as before."""
        before = self.path.read_bytes() if self.path.exists() else None
        assert main([str(self.path), *arguments]) == 2
        assert before == (self.path.read_bytes() if self.path.exists() else None)
        return self._capsys.readouterr().err

    def key(self, *arguments: str) -> tuple[str, str]:
        """Id and key of a new one."""
        id, key = self(*arguments).split()
        return id, key


@pytest.fixture
def registry(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Registry:
    made = Registry(tmp_path / "projects.json", capsys)
    made("init")
    made("project", "shop", "--currency", "EUR", "--rate", "USD=0.92", "--timezone", "Asia/Tokyo")
    return made


def test_a_new_key_is_in_force_and_stands_nowhere(registry: Registry) -> None:
    _, write = registry.key("write", "shop", "--origin", "https://shop.example", "--label", "site")
    _, read = registry.key("read", "shop", "--filter", "country=DE", "--days", "90")
    _, admin = registry.key("admin")
    projects = Projects.load(registry.path)
    writer, reader, all_of = projects.writer(write), projects.reader(read), projects.reader(admin)
    assert writer is not None
    assert reader is not None
    assert all_of is not None
    assert (writer.project.name, writer.key.origins) == ("shop", ["https://shop.example"])
    assert writer.project.revenue_micros(100, "USD") == 92
    assert reader.key.expires is not None
    assert reader.key.created is not None
    assert (reader.key.expires - reader.key.created).days == 90
    assert all_of.project is None
    text = registry.path.read_text()
    for key in (write, read, admin):
        assert key not in text
        assert key_hash(key) in text


def test_a_revoked_key_stays_on_the_list(registry: Registry) -> None:
    id, key = registry.key("write", "shop")
    registry("revoke", id)
    found = Projects.load(registry.path).writer(key)
    assert found is not None
    assert found.key.ended(0) == "revoked"
    first = found.key.revoked
    registry("revoke", id)  # says the same again
    again = Projects.load(registry.path).writer(key)
    assert again is not None
    assert again.key.revoked == first
    assert f"{id}  revoked" in registry("list")


def test_share_links_are_revoked_by_their_id(registry: Registry) -> None:
    registry("revoke", "0" * 18)
    registry("revoke", "0" * 18)
    assert read_file(registry.path).revoked_shares == ["0" * 18]


def test_what_cannot_be(registry: Registry) -> None:
    assert "there already" in registry.refused("init")
    assert "no project" in registry.refused("write", "nothing")
    assert "id of no key" in registry.refused("revoke", "12345")
    assert "twice" in registry.refused("project", "shop")
    assert "filter" in registry.refused("read", "shop", "--filter", "city=Bonn")
    assert "NAME=VALUE" in registry.refused("read", "shop", "--filter", "country:DE")
    assert "origins" in registry.refused("write", "shop", "--origin", "shop.example")
    assert "currency" in registry.refused("project", "x", "--currency", "euro")
    assert "timezone" in registry.refused("project", "x", "--timezone", "Tokyo")
    assert "out of range" in registry.refused("project", "x", "--rate", "EUR=-1")
    registry.path.write_text("{")
    assert "projects.json" in registry.refused("admin")


def test_only_its_owner_reads_it_unless_somebody_says_so(registry: Registry) -> None:
    assert registry.path.stat().st_mode & 0o777 == 0o600
    registry.path.chmod(0o640)
    registry("admin")
    assert registry.path.stat().st_mode & 0o777 == 0o640


def test_many_at_once_lose_nothing(registry: Registry) -> None:
    def add() -> None:
        for _ in range(5):
            assert main([str(registry.path), "write", "shop"]) == 0

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    said: Any = json.loads(registry.path.read_text())
    assert len(said["projects"][0]["write_keys"]) == 20
