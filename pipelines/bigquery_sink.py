"""Final minutes to BigQuery with Beam's own sink: an alternative to `BigQueryStore.write`, for jobs
whose runner scales and retries that sink (Dataflow).

The sink's Storage Write API is a Java transform: the runner needs Java and Beam's GCP expansion
service. At least once is enough, since a row that comes twice changes nothing
(`stores.bigquery_schema`), and it is cheaper and quicker than exactly once. Tables must be there.
"""

import logging
import time
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

import apache_beam as beam
from apache_beam.io.gcp.bigquery import BigQueryDisposition, WriteToBigQuery
from apache_beam.metrics import Metrics
from apache_beam.utils.timestamp import Timestamp

from stores.bigquery_rows import Row, rows_of
from stores.bigquery_tables import TABLES, Table
from stores.pane import Pane, is_history

_log = logging.getLogger(__name__)
_SHOWN: Final = (
    "project",
    "grouping",
    "minute",
    "bucket",
    "country",
    "device",
    "category",
    "value",
)

# Makes a transform of a table's rows; it gives `failed_rows_with_errors`, as Beam's sink does.
Writing = Callable[[str, Table], Any]


class FailedRow(NamedTuple):
    """A row that BigQuery has refused for good."""

    table: str
    error: str
    row: Row


class ToBigQuery(beam.PTransform):
    """Panes to the tables of `stores.bigquery_tables`; gives the rows that were refused.

    Only final and revised panes of a minute are history; others are left out. A refused row is
    counted (`bigquery/failed_rows`) and logged here, and may be kept by who applies this.
    """

    def __init__(self, dataset: str, writing: Writing | None = None) -> None:
        """`dataset` is project.dataset; `writing` replaces Beam's sink, in tests."""
        super().__init__()
        self._dataset = dataset
        self._writing = writing or storage_write

    def expand(self, panes: Any) -> Any:
        """PCollection[Pane] to PCollection[FailedRow]."""
        tags = [table.name for table in TABLES]
        rows = (
            panes
            | "History" >> beam.Filter(is_history)  # pane
            | "Rows" >> beam.ParDo(ToRows()).with_outputs(*tags)  # row, by table
        )
        refused = []
        for table in TABLES:
            written = rows[table.name] | f"Write_{table.name}" >> self._writing(
                self._dataset, table
            )
            refused.append(
                written.failed_rows_with_errors  # {error_message, failed_row}
                | f"Refused_{table.name}" >> beam.ParDo(Refused(table.name))  # FailedRow
            )
        return refused | "Refused" >> beam.Flatten()


class ToRows(beam.DoFn):
    """Panes to rows as Beam's sink takes them, tagged with their table's name."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._rows = Metrics.counter("bigquery", "rows")

    def process(self, element: Pane) -> Iterable[Any]:
        """All rows of one pane."""
        for table, rows in rows_of([element], self._clock()).items():
            self._rows.inc(len(rows))
            for row in rows:
                yield beam.pvalue.TaggedOutput(table.name, beam_row(table, row))


class Refused(beam.DoFn):
    """Counts, says and passes on what BigQuery has refused."""

    def __init__(self, table: str) -> None:
        self._table = table
        self._count = Metrics.counter("bigquery", "failed_rows")

    def process(self, element: dict[str, Any]) -> Iterable[FailedRow]:
        """One row with its error; the log has its key only."""
        self._count.inc()
        row, error = element["failed_row"], str(element["error_message"])
        key = {name: row[name] for name in _SHOWN if name in row}
        _log.error("%s: BigQuery refuses a row: %s: %s", self._table, error, key)
        yield FailedRow(self._table, error, row)


def beam_row(table: Table, row: Row) -> Row:
    """The row with Beam's type for times."""
    return {
        column.name: Timestamp(micros=row[column.name])
        if column.type == "TIMESTAMP"
        else row[column.name]
        for column in table.columns
    }


def schema(table: Table) -> dict[str, list[dict[str, str]]]:
    """A table's schema as Beam takes it."""
    return {
        "fields": [
            {
                "name": column.name,
                "type": column.type,
                "mode": "REPEATED" if column.repeated else "REQUIRED",
            }
            for column in table.columns
        ]
    }


def storage_write(dataset: str, table: Table) -> Any:
    """Beam's sink: the Storage Write API, at least once, into a table that has to exist."""
    return WriteToBigQuery(
        f"{dataset.replace('.', ':')}.{table.name}",
        schema=schema(table),
        method=WriteToBigQuery.Method.STORAGE_WRITE_API,
        use_at_least_once=True,
        create_disposition=BigQueryDisposition.CREATE_NEVER,
        write_disposition=BigQueryDisposition.WRITE_APPEND,
    )
