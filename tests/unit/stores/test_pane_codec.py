"""Panes as bytes."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stores.pane import FINAL, GROUPING_SETS, MEASURES, MINUTE, PARTIAL, REVISED, Pane
from stores.pane_codec import decode, encode

INT64 = st.integers(-(2**63), 2**63 - 1)


@st.composite
def panes(draw: st.DrawFn) -> Pane:
    grouping = draw(st.sampled_from(GROUPING_SETS))
    names = st.tuples(*(st.text(max_size=4) for _ in grouping))
    series = draw(st.lists(names, max_size=4))
    width = len(MEASURES)
    measures = draw(st.lists(INT64, min_size=len(series) * width, max_size=len(series) * width))
    return Pane(
        draw(st.text(max_size=5)),
        grouping,
        draw(st.integers(0, 2**33)),
        MINUTE,
        draw(st.sampled_from([PARTIAL, FINAL, REVISED])),
        series,
        np.array(measures, np.int64).reshape(len(series), width),
        np.array(draw(st.lists(st.integers(0, 2**32 - 1), max_size=5)), np.uint32),
    )


def shown(pane: Pane) -> tuple[object, ...]:
    given = {k: v for k, v in pane.__dict__.items() if k not in ("measures", "sketch")}
    return (given, pane.measures.tolist(), pane.sketch.tolist())


@given(panes())
def test_a_pane_survives(pane: Pane):
    assert shown(decode(encode(pane))) == shown(pane)


@given(st.binary(max_size=40))
@example(b"\x99\x00\xae" + bytes(13) + b"\x80")  # text that is no UTF-8
def test_other_bytes_are_refused(data: bytes):
    with pytest.raises(ValueError, match="pane"):
        decode(data)
