"""The benchmark of the whole way: a short run of it is exact and says what it should."""

import json
from pathlib import Path

import pytest

from benchmarks import end_to_end

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.mark.timeout(420)
def test_a_short_run_is_exact_and_tells_every_stage(tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    arguments = "--seconds 6 --warm 3 --warm_rate 2000 --capacity 4000 --shares 0.5 --screens 2"
    assert end_to_end.main([*arguments.split(), "--collectors", "2", "--json", str(file)]) == 0
    result = json.loads(file.read_text())
    (load,) = result["loads"]
    assert result["exact"]
    assert load["exact"]
    assert load["events"] >= 12_000
    for stage in ("acked_s", "stored_s", "shown_s", "screen_s", "acked_to_screen_s", "probe_s"):
        assert 0 <= load[stage]["p50"] <= load[stage]["p95"] <= load[stage]["max"]
    assert load["screen_s"]["p50"] >= load["acked_s"]["p50"]
    parts = {"generator", "collector", "kafka", "valkey", "flink", "worker", "service", "screens"}
    assert parts < set(result["cpu_seconds_per_million"])
    assert {"machine", "versions", "events_per_second"} < set(result)
