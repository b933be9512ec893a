import gzip
import json

import pytest

from benchmarks.ingest import expected, render
from benchmarks.load import Body, Load, Sent, status


@pytest.mark.parametrize("packed", [False, True])
def test_every_request_has_a_batch_id_of_its_own(packed: bool) -> None:
    body = Body(Load(1, "key", [], [], packed, 1, 0, 1), b'{"a":1},{"a":2}')
    for name in ("one", "another"):
        head, _, content = body.request(name, 5).partition(b"\r\n\r\n")
        assert b"Content-Length: %d" % len(content) in head
        assert (b"Content-Encoding: gzip" in head) == packed
        wanted = {"events": [{"a": 1}, {"a": 2}], "sent_at": 5, "batch_id": name}
        assert json.loads(gzip.decompress(content) if packed else content) == wanted


def test_an_answer_is_read_when_it_is_whole() -> None:
    answer = b"HTTP/1.1 503 Busy\r\nContent-Length: 3\r\nx: y\r\n\r\nabc"
    assert [status(answer[:size]) for size in range(len(answer))] == [None] * len(answer)
    assert status(answer) == 503


def test_the_truth_counts_what_was_acknowledged() -> None:
    events = render(20, 1_750_000_000_000)
    one, two = Sent(), Sent()
    one.bodies.update({0: 2, 3: 1})
    two.bodies[0] += 1
    assert expected(events, [one, two]) == {
        "rows": 80,
        "revenue_micros": 3 * events.micros[0] + events.micros[3],
        "batches": 4,
    }
