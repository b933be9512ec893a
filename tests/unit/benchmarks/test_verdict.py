"""The verdict on a load, and its stages."""

import numpy as np
import pytest

from benchmarks.curves import cumulated, curve
from benchmarks.sender import Rows, Sent
from benchmarks.verdict import judge, stages


def sent(count: int = 100, gap: float = 0.1, wait: float = 0.05, events: int = 10) -> Rows:
    at = 1_000.0 + gap * np.arange(count, dtype=np.float64)
    each = np.full(count, events, np.int64)
    return Rows(at, np.asarray(at + wait), each, each * 7)


def later(load: Rows, seconds: float) -> list[tuple[float, int]]:
    line = cumulated(load.acked, load.events)
    return [(at + seconds, n) for at, n in zip(line.at.tolist(), line.events.tolist(), strict=True)]


@pytest.mark.parametrize(("behind", "kept"), [(1.0, True), (4.9, True), (5.1, False)])
def test_kept_up_is_the_last_event_within_the_grace(behind: float, kept: bool):
    load = sent()
    found = judge(load, curve(later(load, behind)), 5.0, None)
    assert found["kept_up"] is kept
    assert found["stored_after_s"] == pytest.approx(behind)
    assert found["events"] == 1_000
    assert found["behind_at_end"] == pytest.approx(behind * 100, abs=30)
    assert found["stored_per_second"] <= found["events_per_second"]


def test_a_rate_that_was_not_reached_is_not_kept_up_with():
    load = sent()
    reached = judge(load, curve(later(load, 1.0)), 5.0, 100.0)
    assert reached["kept_up"]
    assert not judge(load, curve(later(load, 1.0)), 5.0, 120.0)["kept_up"]


def test_nothing_stored_while_it_was_sent_is_all_behind():
    load = sent()
    found = judge(load, curve([(1_011.0, 1_000)]), 5.0, None)
    assert found["behind_at_end"] == 1_000
    assert found["kept_up"]


def test_what_was_lost_is_not_kept_up_with():
    load = sent()
    assert not judge(load, curve(later(load, 1.0)[:-1]), 5.0, None)["kept_up"]


def test_stages_add_up():
    load = Sent(sent(wait=0.05), sent(20, 0.5, wait=0.05, events=1), 0, 0, 0.0)
    stored = curve(later(load.all, 1.0))
    screens = [curve(later(load.all, 1.25)), curve(later(load.all, 1.5))]
    found = stages(load, stored, screens, curve(later(load.probes, 2.0)))
    assert found["acked_s"]["p50"] == pytest.approx(0.05)
    assert found["stored_s"] == {name: pytest.approx(1.0) for name in ("p50", "p95", "p99", "max")}
    assert found["shown_s"]["max"] == pytest.approx(0.5)
    assert found["screen_s"]["max"] == pytest.approx(1.55)
    assert found["acked_to_screen_s"]["p50"] == pytest.approx(1.375, abs=0.13)
    assert found["probe_s"] == {name: pytest.approx(2.05) for name in ("p50", "p95", "p99", "max")}
