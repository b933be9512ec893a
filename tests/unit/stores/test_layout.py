"""Where things stand in the hot store."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stores import layout
from stores.contract import DAY
from stores.layout import Span
from stores.pane import GROUPING_SETS, MEASURES, Grouping


def test_a_record_is_32_bytes_with_rows_first():
    assert layout.RECORD.itemsize == 32
    assert layout.RECORD.names == MEASURES
    row = np.array([[1, 2, 3, 4, 5, 6, -7]], np.int64)
    assert layout.pack(row)[:4] == b"\x01\x00\x00\x00"
    assert layout.pack(row)[24:] == (-7).to_bytes(8, "little", signed=True)


@given(
    st.lists(
        st.tuples(
            *[st.integers(0, 2**32 - 1)] * 6,
            st.integers(-(2**63), 2**63 - 1),
        ),
        max_size=5,
    )
)
def test_unpack_reads_what_pack_wrote(rows: list[tuple[int, ...]]):
    measures = np.array(rows, np.int64).reshape(len(rows), len(MEASURES))
    data = layout.pack(measures)
    assert np.array_equal(layout.unpack(data, len(rows)), measures)
    assert not layout.unpack(data, len(rows) + 2)[len(rows) :].any()


def test_a_count_over_32_bits_is_refused():
    with pytest.raises(OverflowError):
        layout.pack(np.array([[2**32, 0, 0, 0, 0, 0, 0]], np.int64))


@given(st.integers(0, 40_000), st.integers(0, 4_000), st.sampled_from([10, 60]))
def test_spans_cover_every_window_once(first: int, count: int, width: int):
    start, end = first * width, (first + count) * width
    windows = [
        span.day * layout.page(width) + (span.first + i) * width
        for span in layout.spans(start, end, width)
        for i in range(span.length)
    ]
    assert windows == list(range(start, end, width))


def test_a_span_stays_within_its_day():
    assert list(layout.spans(DAY - 60, DAY + 60, 60)) == [Span(0, 1439, 1), Span(1, 0, 1)]


@given(st.lists(st.text(), min_size=1, max_size=3))
def test_values_come_back_from_a_key_whatever_they_hold(values: list[str]):
    text = layout.values_text(values)
    assert ":" not in text
    assert layout.parse_values(text) == tuple(values)


def test_the_total_is_no_value():
    assert layout.parse_values(layout.values_text(())) == ()
    assert layout.values_text(("-",)) != layout.values_text(()) or layout.values_text(()) == "-"


def test_no_two_groupings_projects_or_kinds_share_a_key():
    keys = [
        make
        for project in ("p", "q", "p}:s")
        for grouping in GROUPING_SETS
        for make in (
            layout.members_key(project, 60, grouping, 1),
            layout.sketched_key(project, 60, grouping, 1),
            layout.series_prefix(project, 60, grouping),
            layout.hour_users_prefix(project, grouping),
            layout.active_prefix(project, grouping),
        )
    ]
    assert len(set(keys)) == len(keys)


@given(st.sets(st.sampled_from(GROUPING_SETS)), st.sets(st.integers(0, 2**33), min_size=1))
def test_an_announcement_says_what_changed(groupings: set[Grouping], minutes: set[int]):
    message = layout.announcement(minutes, groupings)
    names = {layout.grouping_text(one) for one in groupings}
    assert layout.announced(message) == layout.News(names, min(minutes))
    assert json.loads(message)["minutes"] == sorted(minutes)


@pytest.mark.parametrize(
    "message",
    [
        *(b'{"minutes":[60]}', b'{"groupings":["-"]}', b'{"groupings":["-"],"minutes":[]}'),
        *(b'{"groupings":["-"],"minutes":["x"]}', b"", b"[]", b"\xff", b"7"),
    ],
)
def test_an_announcement_that_does_not_say_so_may_mean_all(message: bytes):
    assert layout.announced(message) is None
