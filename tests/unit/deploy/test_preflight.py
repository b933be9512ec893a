import socket
from pathlib import Path

import pytest

from deploy import preflight
from deploy.ports import HOST, free_port


def tool(folder: Path, name: str, output: str) -> str:
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{output}' >&2\n")
    path.chmod(0o755)
    return str(path)


def test_a_busy_port_names_the_port_and_its_setting() -> None:
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
        problem = preflight.busy_port("kafka_port", port)
    assert problem is not None
    assert str(port) in problem
    assert "STREAMLENS_KAFKA_PORT" in problem
    assert "\n" not in problem


@pytest.mark.parametrize(
    ("text", "major"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('java version "1.8.0_402"', 8),
        ('openjdk version "21" 2023-09-19', 21),
        ("command not found", None),
    ],
)
def test_java_versions(text: str, major: int | None) -> None:
    assert preflight.java_major(text) == major


def test_java_too_old_missing_or_fine(tmp_path: Path) -> None:
    old = preflight.java_problem(tool(tmp_path, "java11", 'openjdk version "11.0.2"'))
    assert old is not None
    assert "version 11" in old
    assert "not installed" in (preflight.java_problem(None) or "")
    assert preflight.java_problem(tool(tmp_path, "java17", 'openjdk version "17.0.1"')) is None


def test_maven_is_asked_for_only_when_there_is_something_to_build(tmp_path: Path) -> None:
    java = tool(tmp_path, "java", 'openjdk version "17.0.1"')
    which = {"java": java}.get
    ports = {"kafka_port": free_port()}
    assert preflight.problems(ports, jars_built=True, which=which) == []
    (problem,) = preflight.problems(ports, jars_built=False, which=which)
    assert problem.startswith("mvn is not installed")
