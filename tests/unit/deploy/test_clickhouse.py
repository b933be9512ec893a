import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from deploy import clickhouse_binary
from deploy.artifacts import ArtifactError
from deploy.clickhouse import ClickHouseServer
from deploy.clickhouse_binary import LIBRARY, ensure_clickhouse
from deploy.ports import free_port

# A stand-in for uv: checks what it is asked for, makes the library, and counts its runs.
UV = """#!/bin/sh
while [ $# -gt 1 ]; do [ "$1" = --target ] && target="$2"; last="$2"; shift; done
grep -q -- '--hash=sha256:' "$last" || exit 9
mkdir -p "$target/chdb" "$target/chdb.libs" "$target/other"
echo library > "$target/chdb/_chdb.abi3.so"; echo run >> "%(count)s"
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STREAMLENS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))  # no uv beside it
    (tmp_path / "bin").mkdir()
    return tmp_path


def program(home: Path, name: str, text: str) -> Path:
    path = home / "bin" / name
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_an_installed_server_is_preferred(home: Path) -> None:
    installed = program(home, "clickhouse", "#!/bin/sh\n")
    assert ensure_clickhouse() == [str(installed), "server"]
    assert not (home / "home").exists()


def test_the_wheel_is_fetched_once_and_again_for_another_version(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = home / "count"
    program(home, "uv", UV % {"count": count})
    said: list[str] = []
    command = ensure_clickhouse(said.append)
    assert ensure_clickhouse(said.append) == command
    assert len(said) == 1
    server = home / "home/clickhouse/server"
    assert command[-1] == str(server / LIBRARY)
    assert sorted(path.name for path in server.iterdir()) == ["chdb", "chdb.libs"]
    other = clickhouse_binary.REQUIREMENT.replace("3.7.2", "3.7.3")
    monkeypatch.setattr(clickhouse_binary, "REQUIREMENT", other)
    assert ensure_clickhouse() == command
    assert count.read_text().count("run") == 2


def test_a_failed_installation_is_one_line(home: Path) -> None:
    program(home, "uv", "#!/bin/sh\necho 'error: hash mismatch'\nexit 1\n")
    with pytest.raises(ArtifactError) as caught:
        ensure_clickhouse()
    assert str(caught.value) == (
        "the installation of chdb failed with code 1: error: hash mismatch"
    )
    program(home, "uv", "#!/bin/sh\nexit 0\n")
    with pytest.raises(ArtifactError, match="holds no chdb/_chdb"):
        ensure_clickhouse()


def test_configuration(tmp_path: Path) -> None:
    server = ClickHouseServer(tmp_path / "a & b", 8123, 9000, database="d", memory=10**9)
    server.prepare()
    config = ElementTree.parse(tmp_path / "a & b/config.xml")
    assert config.findtext("http_port") == "8123"
    assert config.findtext("max_server_memory_usage") == "1000000000"
    assert config.findtext("path") == f"{tmp_path}/a & b/data/"
    assert [each.text for each in config.findall("listen_host")] == ["127.0.0.1"]
    assert not [each.tag for each in config.getroot() if each.tag.endswith("_log")]
    users = ElementTree.parse(tmp_path / "a & b/users.xml")
    assert users.findtext("profiles/reader/readonly") == "2"
    assert users.findtext("users/reader/grants/query") == "GRANT SELECT ON d*.*"
    assert [each.text for each in users.findall("users/reader/networks/ip")] == ["127.0.0.1", "::1"]
    for limit in ("max_execution_time", "max_memory_usage", "max_rows_to_read"):
        bounds = users.find(f"profiles/reader/constraints/{limit}")
        assert bounds is not None
        assert [each.tag for each in bounds] == ["min", "max"]
    assert server.address == "clickhouse://default@127.0.0.1:8123/d"
    assert server.reader_address == "clickhouse://reader@127.0.0.1:8123/d"


def test_nothing_is_ready_where_nobody_listens(tmp_path: Path) -> None:
    assert not ClickHouseServer(tmp_path, free_port(), free_port()).is_ready()
