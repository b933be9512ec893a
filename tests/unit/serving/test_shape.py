"""A shape: what is named, in one order, and nothing else."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.ingest.errors import RequestError
from serving.shape import ALL, METRICS, SHOWN, shape_of
from stores.pane import DIMENSIONS


def test_by_default_all_but_bots_no_dimension_and_no_events():
    assert shape_of(None, None) == ALL == (SHOWN, (), False)
    assert set(METRICS) - set(SHOWN) == {"bots"}


@given(st.permutations(METRICS), st.permutations(DIMENSIONS), st.integers(1, 7), st.integers(0, 3))
def test_the_order_does_not_matter(metrics: list[str], dimensions: list[str], some: int, few: int):
    found = shape_of(metrics[:some], dimensions[:few])
    assert found == shape_of(metrics[:some][::-1], dimensions[:few][::-1])
    assert set(found.metrics) == set(metrics[:some])
    assert set(found.dimensions) == set(dimensions[:few])


@pytest.mark.parametrize(
    ("metrics", "dimensions"),
    [
        ([], None),
        (["users"], None),
        (["events", "events"], None),
        ("events", None),
        ([["events"]], None),
        ([None], None),
        (None, ["type"]),
        (None, ["country", "country"]),
        (None, {"country": 1}),
        (None, [{}]),
    ],
)
def test_what_is_not_there_is_refused(metrics: Any, dimensions: Any):
    with pytest.raises(RequestError) as refused:
        shape_of(metrics, dimensions)
    assert refused.value.code == "parameter_invalid"


@pytest.mark.parametrize("recent", [1, 0, "true", []])
def test_a_flag_is_a_flag(recent: Any):
    assert shape_of(None, None, recent=True).recent
    assert not shape_of(None, None, recent=False).recent
    with pytest.raises(RequestError):
        shape_of(None, None, recent)
