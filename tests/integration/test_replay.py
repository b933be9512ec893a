"""The truth check: a real access log through the whole product, compared number by number."""

import time
from pathlib import Path

import pytest

from tests import replay
from tests.integration.stack import Stack, running
from tests.integration.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(600)]

MINUTES = 40


@pytest.mark.parametrize("kill", [False, True], ids=["undisturbed", "job killed with -9"])
def test_the_product_says_what_the_file_says(tmp_path: Path, kill: bool) -> None:
    """Every request is sent twice, 5 % of events come up to 10 minutes late."""
    with running(tmp_path) as stack:
        _check(stack, kill)


def _check(stack: Stack, kill: bool) -> None:
    end = int(time.time()) // 60 * 60
    start = end - MINUTES * 60
    visits = replay.visits(end, MINUTES)
    expected = replay.truth(visits, stack.geo)
    assert len(visits) == 10_000
    assert len(expected.users) > 1_000
    client = replay.Client(stack.settings.collector_url, stack.settings.service_url)
    requests = list(replay.requests(visits, seed=1))
    accepted = 0
    for number, (who, body) in enumerate(requests):
        if kill and number == len(requests) // 2:
            stack.kill_job()
        for _ in range(2):
            count = client.send(who, body)
        accepted += count
    assert accepted == len(visits)

    def agrees() -> bool:
        return not replay.differences(client, expected, start, end)

    try:
        wait_for("agreement", agrees, 60)
    finally:
        found = replay.differences(client, expected, start, end)
        print(f"{len(found)} differences: {found[:10]}")
