"""Rows into BigQuery by the Storage Write API's default stream: at least once, visible at once.

One AppendRows call per table and write, with as many requests as the bytes need, and a deadline.
The client library's own stream manager keeps a connection and threads for writers that never rest;
ours writes once a minute and wants an answer or an error by then. A call that fails is done again
from its first row: rows that were stored twice do no harm (`stores.bigquery_schema`).
"""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, Final

from google.api_core import exceptions
from google.auth.exceptions import GoogleAuthError
from google.cloud.bigquery_storage_v1 import types
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from stores.bigquery_rows import Row, batches
from stores.bigquery_tables import Table
from stores.contract import StoreUnavailable

REQUEST_BYTES: Final = 8_000_000  # the API refuses more than 10 MB
ATTEMPTS: Final = 3
PAUSE: Final = 0.5  # seconds before the second attempt, twice as long before each further one
_RETRIED: Final = (
    exceptions.Aborted,
    exceptions.Cancelled,
    exceptions.DeadlineExceeded,
    exceptions.InternalServerError,
    exceptions.ResourceExhausted,
    exceptions.ServiceUnavailable,
    exceptions.Unknown,
)
_api: Any = exceptions  # it has no types
_FieldProto = descriptor_pb2.FieldDescriptorProto
_TYPES: Final = {
    "STRING": _FieldProto.TYPE_STRING,
    "INT64": _FieldProto.TYPE_INT64,
    "TIMESTAMP": _FieldProto.TYPE_INT64,  # microseconds
}


class Appender:
    """Appends rows to tables of one dataset (`project.dataset`) through one client."""

    def __init__(
        self,
        client: Any,
        dataset: str,
        seconds: float,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`client` is a BigQueryWriteClient; `seconds` bounds each attempt."""
        project, name = dataset.split(".")
        self._parent = f"projects/{project}/datasets/{name}/tables"
        self._client = client
        self._seconds = seconds
        self._sleep = sleep

    def append(self, table: Table, rows: Sequence[Row]) -> None:
        """Store the rows. Raises StoreUnavailable; some may be stored by then."""
        encoded = encode(table, rows)
        pause = PAUSE
        for attempt in range(ATTEMPTS):
            try:
                self._attempt(table, encoded)
                return
            except _RETRIED as error:
                if attempt == ATTEMPTS - 1:
                    raise _unavailable(table, error) from error
                self._sleep(pause)
                pause *= 2
            except (exceptions.GoogleAPICallError, GoogleAuthError) as error:
                raise _unavailable(table, error) from error

    def close(self) -> None:
        """Close the channel."""
        self._client.transport.close()

    def _attempt(self, table: Table, encoded: Sequence[bytes]) -> None:
        stream = f"{self._parent}/{table.name}/streams/_default"
        requests = list(_requests(stream, table, encoded))
        answered = 0
        for response in self._client.append_rows(
            iter(requests),
            retry=None,
            timeout=self._seconds,
            # Tells the service which region the stream is in.
            metadata=(("x-goog-request-params", f"write_stream={stream}"),),
        ):
            if response.error.code:
                raise _api.from_grpc_status(
                    response.error.code, _reason(response), response=response
                )
            answered += 1
        if answered != len(requests):
            raise _api.Aborted(f"{answered} of {len(requests)} requests were answered")


def encode(table: Table, rows: Sequence[Row]) -> list[bytes]:
    """Each row as protobuf. Raises TypeError, ValueError or EncodeError when one does not fit."""
    kind = message_factory.GetMessageClass(_descriptor(table))
    return [kind(**row).SerializeToString() for row in rows]


@cache
def _descriptor(table: Table) -> Any:
    """The proto2 message of a table's rows: field i is column i, all required but arrays."""
    file = descriptor_pb2.FileDescriptorProto(name=f"{table.name}.proto", package="streamlens")
    message = file.message_type.add(name=table.name)
    for number, column in enumerate(table.columns, start=1):
        label = _FieldProto.LABEL_REPEATED if column.repeated else _FieldProto.LABEL_REQUIRED
        message.field.add(name=column.name, number=number, type=_TYPES[column.type], label=label)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool.FindMessageTypeByName(f"streamlens.{table.name}")


def _requests(
    stream: str, table: Table, encoded: Sequence[bytes]
) -> Iterator[types.AppendRowsRequest]:
    """Stream and schema stand in the first request only."""
    for i, part in enumerate(batches(encoded, REQUEST_BYTES)):
        data = types.AppendRowsRequest.ProtoData(rows=types.ProtoRows(serialized_rows=part))
        if i == 0:
            schema = descriptor_pb2.DescriptorProto()
            _descriptor(table).CopyToProto(schema)
            data.writer_schema = types.ProtoSchema(proto_descriptor=schema)
            yield types.AppendRowsRequest(
                write_stream=stream, proto_rows=data, trace_id="streamlens"
            )
        else:
            yield types.AppendRowsRequest(proto_rows=data)


def _reason(response: Any) -> str:
    """The error with the first row that is to blame."""
    first = next(iter(response.row_errors), None)
    return f"{response.error.message} {first.message if first else ''}".strip()


def _unavailable(table: Table, error: Exception) -> StoreUnavailable:
    line = (str(error).strip() or type(error).__name__).splitlines()[0]
    return StoreUnavailable(f"BigQuery takes no rows for {table.name}: {line}"[:300])
