from pathlib import Path

import pytest

from deploy.artifacts import ArtifactError
from deploy.flink_jars import ensure_flink_jars

MAVEN = """#!/bin/sh
for word in "$@"; do case "$word" in -Djars.home=*) home="${word#-Djars.home=}";; esac; done
mkdir -p "$home/flink"; echo jar > "$home/flink/flink-runtime.jar"; echo run >> "%s"
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STREAMLENS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    (tmp_path / "bin").mkdir()
    return tmp_path


def program(home: Path, text: str) -> None:
    path = home / "bin" / "mvn"
    path.write_text(text)
    path.chmod(0o755)


def test_the_jars_are_fetched_once_and_again_when_the_pom_changes(home: Path) -> None:
    count = home / "count"
    program(home, MAVEN % count)
    jars = ensure_flink_jars()
    assert [jar.name for jar in jars.iterdir()] == ["flink-runtime.jar"]
    assert ensure_flink_jars() == jars
    assert count.read_text().count("run") == 1
    (jars.parent / "flink.stamp").write_text("of another pom")
    (jars / "old.jar").touch()
    ensure_flink_jars()
    assert count.read_text().count("run") == 2
    assert [jar.name for jar in jars.iterdir()] == ["flink-runtime.jar"]


def test_a_failed_fetch_is_one_line_and_leaves_nothing(home: Path) -> None:
    program(home, "#!/bin/sh\necho '[ERROR] no such artifact'\nexit 1\n")
    with pytest.raises(ArtifactError) as caught:
        ensure_flink_jars()
    assert str(caught.value) == "Maven (Flink) failed with code 1: [ERROR] no such artifact"
    assert not (home / "home/flink/flink").exists()
