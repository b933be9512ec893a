import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from deploy.artifacts import REPO

pytest.importorskip("setuptools")  # `python -m venv` brings it, `uv venv` does not

PACKAGES = ("events", "transforms", "pipelines", "stores", "serving", "telemetry", "deploy")


def test_the_sdist_that_workers_install_carries_our_packages_and_its_requirements(
    tmp_path: Path,
) -> None:
    source = tmp_path / "source"
    skip = shutil.ignore_patterns("__pycache__", "node_modules", "*.egg-info")
    for name in PACKAGES:
        if (REPO / name).is_dir():
            shutil.copytree(REPO / name, source / name, ignore=skip)
    (source / "requirements").mkdir()
    for name in ("setup.py", "pyproject.toml", "MANIFEST.in", "requirements/runtime.in"):
        shutil.copy(REPO / name, source / name)
    subprocess.run(
        [sys.executable, "setup.py", "-q", "sdist", "-d", str(tmp_path / "dist")],
        cwd=source,
        check=True,
        capture_output=True,
        timeout=60,
    )
    (archive,) = (tmp_path / "dist").iterdir()
    assert archive.name == "streamlens-0.1.0.tar.gz"
    with tarfile.open(archive) as tar:
        names = {name.partition("/")[2] for name in tar.getnames()}
        info = tar.extractfile("streamlens-0.1.0/streamlens.egg-info/requires.txt")
        assert info is not None
        requires = info.read().decode().split()
    assert {"requirements/runtime.in", "deploy/flink/pom.xml", "events/schema.py"} <= names
    assert "apache-beam[gcp]==2.70.0" in requires
