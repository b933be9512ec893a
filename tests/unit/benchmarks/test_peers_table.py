"""The table of engines: medians, ratios by round, engines that did not run."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.peers.measure import Measured
from benchmarks.peers.table import Row, Run, between, markdown, number, ratios, spread

POSITIVE = st.floats(0.01, 1_000)


def run(engine: str, number: int, wall: float, cpu: float, wrong: tuple[str, ...] = ()) -> Run:
    parts = {"engine": cpu, "kafka": 5.0}
    peak = {"engine": 700, "kafka": 400}
    return Run(engine, number, 1_000_000, Measured(1.0, wall, parts, peak), wrong)


def test_the_broker_is_in_no_figure_of_an_engine():
    one = run("a", 0, wall=4.0, cpu=8.0)
    assert one.per_second == 250_000
    assert one.core_seconds == 8.0
    assert one.per_core_second == 125_000
    assert "| 700 |" in markdown([Row("a", "1", "json", (one,))], [])


@given(st.lists(st.tuples(POSITIVE, POSITIVE), min_size=1, max_size=5))
def test_a_ratio_is_of_the_same_round(times):
    ours = Row("ours", "1", "arrow", tuple(run("ours", i, 1, a) for i, (a, _) in enumerate(times)))
    # the other engine failed in the first round, and its rounds come in another order
    theirs = [run("x", i, 1, b) for i, (_, b) in enumerate(times)][1:][::-1]
    found = ratios(ours, Row("x", "1", "json", tuple(theirs)))
    assert found == pytest.approx([b / a for a, b in times[1:]])


@given(POSITIVE, st.floats(0, 100), st.integers(1, 10**6), st.integers(1, 10**6))
def test_fixed_costs_are_in_no_difference(per_event, fixed, events, more):
    def took(count: int) -> Run:
        seconds = fixed + per_event * count
        parts = {"engine": 2 * seconds, "kafka": 0.1}
        return Run("a", 1, count, Measured(1.0, seconds, parts, {"engine": count}))

    found = between(took(events), took(events + more))
    assert found.events == more
    assert found.per_second == pytest.approx(1 / per_event, rel=1e-3)
    assert found.per_core_second == pytest.approx(0.5 / per_event, rel=1e-3)
    assert found.measured.peak_mb == {"engine": events + more}


def test_a_difference_keeps_what_was_wrong_in_either():
    short, long = run("a", 0, 1, 1, ("x",)), run("a", 0, 2, 2, ("y",))
    assert between(short, dataclasses.replace(long, events=2_000_000)).wrong == ("x", "y")


def test_noise_is_no_figure():
    long = dataclasses.replace(run("a", 0, 1, 1), events=2_000_000)
    with pytest.raises(ValueError, match="took as long as 2,000,000"):
        between(run("a", 0, 2, 2), long)


@given(st.lists(POSITIVE, min_size=1, max_size=5))
def test_an_engine_is_once_itself(times):
    ours = Row("ours", "1", "arrow", tuple(run("ours", i, 1, t) for i, t in enumerate(times)))
    assert ratios(ours, ours) == pytest.approx([1.0] * len(times))


def test_the_table():
    rows = [
        Row("ours", "2.70", "arrow", (run("ours", 0, 2, 2), run("ours", 1, 2, 4))),
        Row("wrong", "1", "json", (run("wrong", 0, 10, 20, ("a cell",)),)),
        Row("absent", "3", "json", failed="no wheel"),
    ]
    lines = markdown(rows, ["ours", "not there"]).splitlines()
    assert len(lines) == 5
    assert len({line.count("|") for line in lines}) == 1
    assert lines[0].startswith("| engine | version | input |")
    assert "375k (250k–500k)" in lines[2]
    assert lines[2].endswith("| 1.00 (1.00–1.00) | yes |")
    assert lines[3].endswith("| 10.0 | NO |")
    assert "not run: no wheel" in lines[4]


def test_an_engine_that_failed_later_says_so_and_breaks_no_cell():
    row = Row("late", "1", "json", (run("late", 0, 2, 2),), failed="a | b")
    assert markdown([row], []).splitlines()[2].endswith("| yes; then a / b |")


def test_a_row_without_runs_is_not_exact():
    assert not Row("absent", "3", "json", failed="no wheel").exact


def test_numbers_are_short():
    assert [number(x) for x in (1_234_567, 99.94, 9.876, 0.5)] == [
        "1,234,567",
        "99.9",
        "9.88",
        "0.50",
    ]
    assert spread([]) == ""
    assert spread([3.0], "k") == "3.00k"
