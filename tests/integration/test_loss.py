"""Some runs of the loss harness; `npm run loss` plays as many as one likes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.artifacts import REPO

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(900)]

RUNS = 4


def test_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    report = tmp_path / "loss.json"
    command = ["npm", "run", "loss", "--", "--runs", str(RUNS), "--json", str(report)]
    done = subprocess.run(
        [*command, "--python", sys.executable],
        cwd=REPO,
        capture_output=True,
        text=True,
        timeout=800,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads(report.read_text())
    assert said["repeated"] == 0
    assert len(said["cases"]) >= 17
    for row in said["cases"]:
        assert row["runs"] == RUNS
        assert row["sent"] == row["counted"] >= RUNS
        assert (row["lost"], row["doubled"]) == (0, 0)
