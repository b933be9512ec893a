"""The ledger on the real stack: it balances, also after the job and a collector were killed."""

import json
import time
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from tests.integration.jobs import kill_hard
from tests.integration.stack import Stack, running
from tests.integration.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(600)]

AGENT = "Mozilla/5.0 (X11; Linux x86_64) Firefox/130.0"


def test_sent_is_counted_or_rejected_and_every_event_has_its_place(tmp_path: Path) -> None:
    with running(tmp_path) as stack:
        good, bad, bots = 0, 0, 0
        for number in range(20):
            good += 10
            bad += 2
            body = _batch(f"first-{number}", 10, bad=2)
            assert _send(stack, body)["accepted"] == 10
            _send(stack, body)  # repeated: answered from memory, not received anew
        bots += 5
        _send(stack, _batch("bots", 5), agent="curl/8.0")
        wait_for("balance", lambda: _balanced(stack, good + bots, bad), 90)

        kill_hard(stack.collector)
        stack.kill_job()
        stack.collector.start()
        for number in range(20):
            good += 10
            _send(stack, _batch(f"second-{number}", 10))
        wait_for("balance after kills", lambda: _balanced(stack, good + bots, bad), 120)
        total = _ledger(stack)["total"]
        assert total["rejected"] == {"event_field_missing": bad}
        assert (total["counted"], total["bot"]) == (good, bots)
        assert (total["in_flight"], total["unreported"], total["unexplained"]) == (0, 0, 0)

        def agreed() -> bool:
            paths = _ledger(stack)["paths"]
            assert paths["unavailable"] is None
            return paths["compared"] > 0 and not paths["differences"]

        wait_for("both paths to agree", agreed, 240)


def _balanced(stack: Stack, accepted: int, rejected: int) -> bool:
    total = _ledger(stack)["total"]
    found = (total["received"], total["accepted"], total["decoded"])
    return found == (accepted + rejected, accepted, accepted)


def _ledger(stack: Stack) -> Any:
    url = f"{stack.settings.service_url}/v1/ledger?start=-10m"
    with urlopen(Request(url, headers={"X-Read-Key": "demo-read-key"}), timeout=30) as answer:
        return json.loads(answer.read())


def _batch(name: str, events: int, bad: int = 0) -> bytes:
    now = int(time.time() * 1000)
    full = [{"type": "click", "user_id": f"u{i}", "ts": now} for i in range(events)]
    return json.dumps({"batch_id": name, "events": [*full, *[{"type": "click"}] * bad]}).encode()


def _send(stack: Stack, body: bytes, agent: str = AGENT) -> Any:
    headers = {
        "X-Write-Key": "demo-write-key",
        "Content-Type": "application/json",
        "User-Agent": agent,
    }
    request = Request(f"{stack.settings.collector_url}/v1/events", body, headers)
    with urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())
