"""Some rounds of the kill tests; `python -m tests.chaos` plays as many as one likes."""

from pathlib import Path

import pytest

from tests.chaos.faults import OUTAGES
from tests.chaos.rounds import LAST_LOOK
from tests.chaos.series import play

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(1_800)]

SEED = 20_261
KINDS = ["worker-kill", "broker-kill", "jobmanager-kill"]
AWAY = 45.0  # seconds; by hand it is five minutes


def test_three_rounds_of_chaos(tmp_path: Path) -> None:
    results = play(tmp_path, KINDS, len(KINDS), SEED, print)
    assert {result.fault for result in results} == {*KINDS, LAST_LOOK}
    assert [line for result in results for line in result.differences] == []


def test_each_store_and_the_log_away_for_a_while(tmp_path: Path) -> None:
    results = play(tmp_path, list(OUTAGES), len(OUTAGES), SEED, print, away=AWAY)
    assert {result.fault for result in results} == {*OUTAGES, LAST_LOOK}
    assert [line for result in results for line in result.differences] == []
