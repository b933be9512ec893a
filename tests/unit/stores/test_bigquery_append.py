"""Appending rows through a client that a test plays."""

from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud.bigquery_storage_v1 import types
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import EncodeError

from stores import bigquery_append
from stores.bigquery_append import ATTEMPTS, Appender, encode
from stores.bigquery_tables import TABLES, UNIQUES_1H, Table
from stores.contract import StoreUnavailable

_api: Any = exceptions  # it has no types
UNAVAILABLE = _api.ServiceUnavailable("away")


class Server:
    """A BigQueryWriteClient: answers calls with what was prepared for them."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.calls: list[list[types.AppendRowsRequest]] = []
        self.options: dict[str, Any] = {}
        self.transport = self
        self.closed = False

    def append_rows(self, requests: Iterable[Any], **options: Any) -> Iterator[Any]:
        self.options = options
        self.calls.append(list(requests))
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, Exception):
            raise answer
        answer = [types.AppendRowsResponse()] * len(self.calls[-1]) if answer is None else answer
        return iter(answer)

    def close(self) -> None:
        self.closed = True


def row(value: str = "x", entries: Iterable[int] = (7,)) -> dict[str, Any]:
    return {
        "project": "p",
        "grouping": 1,
        "value": value,
        "bucket": 3_600_000_000,
        "entries": list(entries),
    }


def appender(server: Server, pauses: list[float] | None = None) -> Appender:
    return Appender(server, "my-project.streamlens", 9.0, ([] if pauses is None else pauses).append)


def test_rows_and_their_schema_arrive() -> None:
    server = Server()
    appender(server).append(UNIQUES_1H, [row("a"), row("b", (1, 2))])
    ((request,),) = server.calls
    stream = "projects/my-project/datasets/streamlens/tables/uniques_1h/streams/_default"
    assert request.write_stream == stream
    assert server.options["metadata"] == (("x-goog-request-params", f"write_stream={stream}"),)
    assert server.options["timeout"] == 9.0
    assert server.options["retry"] is None
    # What the service does: it makes a message of the schema, and reads the rows with it.
    file = descriptor_pb2.FileDescriptorProto(name="x.proto")
    file.message_type.add().CopyFrom(request.proto_rows.writer_schema.proto_descriptor)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    kind: Any = message_factory.GetMessageClass(pool.FindMessageTypeByName("uniques_1h"))
    found = [kind.FromString(each) for each in request.proto_rows.rows.serialized_rows]
    assert [(each.value, list(each.entries)) for each in found] == [("a", [7]), ("b", [1, 2])]
    assert found[0].bucket == 3_600_000_000


@pytest.mark.parametrize("table", TABLES, ids=[table.name for table in TABLES])
def test_every_column_has_to_be_there_and_fit(table: Table) -> None:
    values = {"STRING": "x", "INT64": 1, "TIMESTAMP": 1}
    whole = {
        column.name: [1] if column.repeated else values[column.type] for column in table.columns
    }
    assert len(encode(table, [whole])) == 1
    with pytest.raises(EncodeError, match="missing required"):
        encode(table, [{name: value for name, value in whole.items() if name != "project"}])
    with pytest.raises(ValueError, match="no_such"):
        encode(table, [{**whole, "no_such": 1}])
    with pytest.raises((TypeError, ValueError)):
        encode(table, [{**whole, "grouping": "x"}])


def test_requests_are_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bigquery_append, "REQUEST_BYTES", 100)
    server = Server()
    appender(server).append(UNIQUES_1H, [row("v" * 40) for _ in range(5)])
    (requests,) = server.calls
    assert [len(each.proto_rows.rows.serialized_rows) for each in requests] == [1] * 5
    assert [bool(each.write_stream) for each in requests] == [True] + [False] * 4


def test_what_is_away_is_asked_again_with_longer_pauses() -> None:
    broken = types.AppendRowsResponse(error={"code": 13, "message": "internal"})
    server, pauses = Server(UNAVAILABLE, [broken]), list[float]()
    appender(server, pauses).append(UNIQUES_1H, [row()])
    assert len(server.calls) == ATTEMPTS
    assert pauses == [0.5, 1.0]
    assert all(len(call) == 1 for call in server.calls)


def test_attempts_end() -> None:
    server = Server(*[UNAVAILABLE] * (ATTEMPTS + 1))
    with pytest.raises(StoreUnavailable, match="takes no rows for uniques_1h: 503 away"):
        appender(server).append(UNIQUES_1H, [row()])
    assert len(server.calls) == ATTEMPTS


def test_refused_rows_are_not_sent_again() -> None:
    refused = types.AppendRowsResponse(
        error={"code": 3, "message": "schema mismatch"},
        row_errors=[{"index": 0, "message": "value too long"}],
    )
    server = Server([refused])
    with pytest.raises(StoreUnavailable, match="schema mismatch value too long"):
        appender(server).append(UNIQUES_1H, [row()])
    assert len(server.calls) == 1


def test_close() -> None:
    server = Server()
    appender(server).close()
    assert server.closed
