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
    collector, service = stack.settings.collector_url, stack.settings.service_url
    requests = list(replay.requests(visits, seed=1))
    half = len(requests) // 2
    accepted = replay.send_twice(collector, service, requests[:half])
    if kill:
        stack.kill_job()
    accepted += replay.send_twice(collector, service, requests[half:])
    assert accepted == 2 * len(visits)

    client = replay.Client(collector, service)
    found: list[str] = ["nothing was asked yet"]

    def agrees() -> bool:
        found[:] = replay.differences(client, expected, start, end)
        return not found

    try:
        wait_for("agreement", agrees, 60)
    finally:
        print(f"{len(found)} differences: {found[:10]}")
        client.close()
