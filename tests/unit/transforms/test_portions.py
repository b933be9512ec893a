import json
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from events import batch
from transforms.decode import Message, decode
from transforms.duplicates import HORIZON_MS
from transforms.portions import Portion, portions

NOW = 10 * HORIZON_MS


def _json(user: str = "u", **fields: Any) -> bytes:
    return json.dumps(
        {"type": "click", "user_id": user, "ts": 1_700_000_000_000, **fields}
    ).encode()


ARROW = batch.encode(
    "p", decode(Message(_json(), project="p"), hot_only=False).rows["p"].to_pydict()
)


def _message(payload: bytes, offset: int = 0, **fields: Any) -> Message:
    return Message(payload, project="p", offset=offset, broker_ms=NOW)._replace(**fields)


def _shape(found: list[Portion]) -> list[list[int]]:
    return [[message.offset for message in portion.messages] for portion in found]


def test_neighbours_of_json_go_together() -> None:
    payloads = [
        _json("a"),
        _json("b") + b"\n" + _json("c") + b"\n",
        ARROW,
        _json("d"),
        ARROW,
        ARROW,
    ]
    found = list(portions([_message(p, i) for i, p in enumerate(payloads)], "USD"))
    assert _shape(found) == [[0, 1], [2], [3], [4], [5]]
    assert [part.counts.tolist() for portion in found for part in portion.parts()][:2] == [
        [1, 2],
        [1],
    ]


def test_what_differs_goes_alone() -> None:
    messages = [
        _message(_json(), 0),
        _message(_json(), 1, partition=1),
        _message(_json(), 2),
        _message(_json(), 3, project="q"),
        _message(_json(), 4, project="q", broker_ms=NOW + HORIZON_MS),
    ]
    assert _shape(list(portions(messages, "USD"))) == [[0, 2], [3], [4], [1]]


def test_a_bad_neighbour_costs_nothing_but_time() -> None:
    messages = [_message(_json("a")), _message(b'{"type":"click"}', 1), _message(_json("b"), 2)]
    found = list(portions(messages, "USD"))
    assert _shape(found) == [[0], [1], [2]]
    assert [portion.decoded.dead[0].offset for portion in found if portion.decoded.dead] == [1]


def test_events_of_several_projects() -> None:
    mixed = _json("a", project="x") + b"\n" + _json("b") + b"\n" + _json("c", project="x")
    found = list(portions([_message(mixed)], "USD"))
    assert {name: rows.num_rows for name, rows in found[0].decoded.rows.items()} == {"x": 2, "p": 1}
    assert found[0].decoded.places("x").tolist() == [0, 2]
    found = list(portions([_message(mixed), _message(_json(), 1)], "USD"))
    assert _shape(found) == [[0], [1]]


event = st.builds(
    _json,
    st.sampled_from(["a", "b", "ü"]),
    ts=st.sampled_from([1_700_000_000_000, 4_000_000_000_000, 12]),
    project=st.sampled_from([None, "x", "NO"]),
    id=st.sampled_from([None, "01890000-0000-7000-8000-000000000001", "no"]),
)
payload = st.one_of(
    st.just(ARROW), event, st.lists(event, min_size=1, max_size=3).map(b"\n".join), st.just(b"")
)


@given(st.lists(st.tuples(payload, st.integers(0, 1), st.booleans()), max_size=12))
def test_together_or_alone_the_rows_are_the_same(given_: list[tuple[bytes, int, bool]]) -> None:
    messages = [
        _message(payload, i, partition=partition, broker_ms=NOW + i, logged_ms=(NOW + i) * clock)
        for i, (payload, partition, clock) in enumerate(given_)
    ]
    together: dict[tuple[int, str], list[pa.RecordBatch]] = {}
    for portion in portions(messages, "USD"):
        for project, rows, mine, counts in portion.parts():
            assert counts.sum() == rows.num_rows
            for message, end, count in zip(
                mine, np.cumsum(counts).tolist(), counts.tolist(), strict=True
            ):
                place = (message.offset, project)
                together.setdefault(place, []).append(rows.slice(end - count, count))
    alone = {
        (message.offset, project): rows
        for message in messages
        for project, rows in decode(message).rows.items()
    }
    assert together.keys() == alone.keys()
    for place, (rows,) in together.items():
        assert rows.to_pylist() == alone[place].to_pylist()
