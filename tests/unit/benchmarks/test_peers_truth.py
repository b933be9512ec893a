"""Results of engines against the truth: any difference is found, in any order of lines."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import dataset
from benchmarks.dataset import SHAPES, TYPES, Chunk, Truth
from benchmarks.peers.__main__ import start_ms
from benchmarks.peers.topics import CHUNK, Stream, Topic
from benchmarks.peers.truth import differences, epoch, found, wanted

START = 1_700_000_040  # a whole minute, epoch seconds


def chunk() -> Chunk:
    return dataset.chunk(SHAPES[50], 3, 2_000, START * 1000, 120_000)


def truth_of(*chunks: Chunk) -> Truth:
    truth = Truth(SHAPES[50])
    for one in chunks:
        truth.add(one)
    return truth


def lines_of(truth: Truth) -> list[str]:
    cells, users = wanted(truth)
    lines = [
        "\t".join(map(str, (*key, count, f"{micros / 1e6:.2f}")))
        for key, (count, micros) in cells.items()
    ]
    return [*lines, *(f"{minute}\t\t\t\t\t{count}\t" for minute, count in users.items())]


def test_the_truth_of_cells_is_that_of_a_plain_count():
    events = chunk()
    counted: dict[tuple[int, str, str, str, str], tuple[int, int]] = {}
    names = dataset.countries(events.shape), dataset.categories(events.shape)
    for i in range(len(events)):
        key = (
            int(events.time_ms[i]) // 60_000 * 60,
            TYPES[events.type[i]],
            names[0][events.country[i]],
            dataset.DEVICES[events.device[i]],
            names[1][events.category[i]],
        )
        count, micros = counted.get(key, (0, 0))
        counted[key] = count + 1, micros + int(events.micros[i])
    cells, users = wanted(truth_of(events))
    assert cells == counted
    assert set(users) == {START, START + 60}


@given(st.randoms(use_true_random=False))
def test_the_order_of_lines_does_not_matter(source: random.Random):
    truth = truth_of(chunk())
    lines = lines_of(truth)
    source.shuffle(lines)
    assert differences(truth, lines) == []


@given(st.data())
def test_any_other_number_is_found(data: st.DataObject):
    truth = truth_of(chunk())
    cells, _ = wanted(truth)
    lines = lines_of(truth)
    place = data.draw(st.integers(0, len(cells) - 1))
    fields = lines[place].split("\t")
    which = data.draw(st.sampled_from(["count", "revenue", "lost"]))
    if which == "count":
        fields[5] = str(int(fields[5]) + data.draw(st.integers(1, 5)))
    elif which == "revenue":
        fields[6] = f"{float(fields[6]) + 0.01:.2f}"
    lines[place] = "\t".join(fields)
    if which == "lost":
        del lines[place]
    assert len(differences(truth, lines)) == 1


def test_users_may_be_estimates_of_three_percent():
    truth = truth_of(chunk())
    cells, users = wanted(truth)
    lines = lines_of(truth)
    off = {minute: round(count * 1.02) for minute, count in users.items()}
    near = [*lines[: len(cells)], *(f"{m}\t\t\t\t\t{n}\t" for m, n in off.items())]
    far = [*lines[: len(cells)], *(f"{m}\t\t\t\t\t{n * 11 // 10}\t" for m, n in off.items())]
    assert differences(truth, near) == []
    assert len(differences(truth, far)) == len(users)


def test_sums_of_floats_are_rounded_to_micros_and_a_later_line_replaces():
    line = "60\tpurchase\tAA\tdesktop\tc0\t2\t"
    cells, users = found([line + "1.10", line + "30.099999999999998\n"])
    assert cells == {(60, "purchase", "AA", "desktop", "c0"): (2, 30_100_000)}
    assert users == {}


def test_windows_are_named_by_seconds_or_iso():
    assert epoch("1700000040") == epoch("2023-11-14 22:14:00.000") == START


def test_a_line_of_another_form_is_refused():
    with pytest.raises(ValueError, match="2 fields"):
        found(["60\tx"])


def test_a_shorter_topic_is_a_prefix_of_a_longer_one_with_as_many_events_a_minute():
    stream = Stream(START * 1000, per_minute=CHUNK * 5, shape=SHAPES[50])
    one, again = stream.chunk(4), stream.chunk(4)
    assert (one.time_ms == again.time_ms).all()
    assert one.time_ms[-1] < stream.at(5) == (START + 60) * 1000
    truth = truth_of(*(stream.chunk(i) for i in range(10)))
    assert [int(table[..., 0].sum()) for table in truth.measures.values()] == [CHUNK * 5] * 2


@given(
    st.lists(st.integers(1, 2_000), min_size=1, max_size=4),
    st.integers(1_000, 100_000_000),
    st.floats(1.7e9, 1.8e9),
)
def test_every_topic_is_past_and_in_two_windows(sizes, per_minute, now):
    topics = [Topic(str(chunks), "json", chunks) for chunks in sizes]
    start = start_ms(topics, per_minute, now)
    for topic in topics:
        end = start + topic.events * 60_000 // per_minute
        assert end <= now * 1000
        assert start // 60_000 < end // 60_000
