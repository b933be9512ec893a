"""What goes to Beam's BigQuery sink, and how that sink is set up. The sink itself is Java's."""

import logging
from typing import Any, ClassVar

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.io.gcp import bigquery as gcp
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.core import Create
from apache_beam.utils.timestamp import Timestamp

from events import sketch
from pipelines.bigquery_sink import (
    FailedRow,
    Refused,
    ToBigQuery,
    ToRows,
    beam_row,
    schema,
    storage_write,
)
from stores.bigquery_rows import rows_of
from stores.bigquery_tables import ROLLUP, TABLES, UNIQUES_1H, UNIQUES_1M, Table
from stores.pane import (
    ACTIVE,
    FINAL,
    MEASURES,
    MINUTE,
    PARTIAL,
    REVISED,
    Grouping,
    Pane,
    is_history,
)

NOON = 1_700_049_600
DATASET = "my-project.streamlens"


def pane(
    rows: int = 5,
    *,
    grouping: Grouping = (),
    values: tuple[str, ...] = (),
    status: int = FINAL,
    width: int = MINUTE,
) -> Pane:
    measures = np.full((1, len(MEASURES)), rows, np.int64)
    users = sketch.from_hashes(np.array([1, 2**40, 2**60], np.uint64))
    return Pane("p", grouping, NOON, width, status, [values], measures, users)


class Written:
    """What a sink gives."""

    def __init__(self, refused: Any) -> None:
        self.failed_rows_with_errors = refused


class Refusing(beam.PTransform):
    """A sink that refuses rows of 13 and takes the rest; in the place of Java's."""

    def __init__(self, _: str, table: Table) -> None:
        super().__init__()
        self.table = table

    def expand(self, rows: Any) -> Any:
        return Written(
            rows
            | beam.Filter(lambda row: row.get("rows") == 13)
            | beam.Map(lambda row: {"error_message": "unlucky", "failed_row": row})
        )


def test_final_and_revised_minutes_are_history() -> None:
    assert is_history(pane())
    assert is_history(pane(status=REVISED))
    assert not is_history(pane(status=PARTIAL))
    assert not is_history(pane(width=ACTIVE))


def test_rows_have_the_columns_of_the_table_in_order_and_beam_times() -> None:
    for table, rows in rows_of([pane()], 7.5).items():
        (row,) = [beam_row(table, each) for each in rows]
        assert list(row) == [column.name for column in table.columns]
        times = [row[column.name] for column in table.columns if column.type == "TIMESTAMP"]
        assert times[0] == Timestamp(NOON)
        assert all(isinstance(time, Timestamp) for time in times)
    assert beam_row(ROLLUP, rows_of([pane()], 7.5)[ROLLUP][0])["written_at"] == Timestamp(7.5)


@pytest.mark.parametrize("table", TABLES, ids=[table.name for table in TABLES])
def test_rows_fit_the_schema_as_beam_sends_them_to_java(table: Table) -> None:
    """Beam's own conversion to rows with a schema, and their coder: a shuffle encodes them."""
    panes = [pane(), pane(grouping=("country",), values=("é",), status=REVISED)]
    rows = [beam_row(table, row) for row in rows_of(panes, 7.5)[table]]
    assert rows
    convert = gcp.StorageWriteToBigQuery.ConvertToBeamRows(schema(table), False)
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        back = (
            pipeline
            | Create(rows)
            | convert.with_output_types()
            | beam.Reshuffle()
            | beam.Map(lambda row: {name: plain(value) for name, value in row._asdict().items()})
        )
        assert_that(back, equal_to([{k: plain(v) for k, v in row.items()} for row in rows]))


def plain(value: Any) -> Any:
    return value if isinstance(value, str | int | Timestamp) else [int(each) for each in value]


def test_refused_rows_are_counted_said_and_passed_on(caplog: pytest.LogCaptureFixture) -> None:
    panes = [pane(5), pane(13, status=REVISED), pane(13, status=PARTIAL), pane(13, width=ACTIVE)]
    pipeline = beam.Pipeline(runner="FnApiRunner")
    refused = pipeline | Create(panes) | ToBigQuery(DATASET, Refusing)
    assert_that(
        refused | beam.Map(lambda failed: (failed.table, failed.error, failed.row["rows"])),
        equal_to([("rollup_1m", "unlucky", 13)]),
    )
    with caplog.at_level(logging.ERROR, logger="pipelines.bigquery_sink"):
        result = pipeline.run()
        result.wait_until_finish()
    counters = {
        each.key.metric.name: each.committed for each in result.metrics().query()["counters"]
    }
    assert counters == {"rows": 6, "failed_rows": 1}
    (line,) = [each.getMessage() for each in caplog.records if each.levelname == "ERROR"]
    assert line.startswith("rollup_1m: BigQuery refuses a row: unlucky: {'project': 'p',")


def test_a_refused_row_keeps_all_of_itself() -> None:
    (failed,) = Refused("t").process({"error_message": "no", "failed_row": {"value": "x", "y": 1}})
    assert failed == FailedRow("t", "no", {"value": "x", "y": 1})


def test_each_row_goes_to_its_table() -> None:
    found = [(each.tag, each.value["project"]) for each in ToRows(lambda: 1.0).process(pane())]
    assert sorted(found) == [("rollup_1m", "p"), ("uniques_1h", "p"), ("uniques_1m", "p")]
    country = pane(grouping=("country",), values=("DE",))
    assert sorted(each.tag for each in ToRows().process(country)) == ["rollup_1m", "uniques_1h"]


class Java(beam.PTransform):
    """Records what Beam's sink asks of its Java transform; refuses nothing."""

    asked: ClassVar[list[dict[str, Any]]] = []

    def __init__(self, **options: Any) -> None:
        super().__init__()
        Java.asked.append(options)

    def expand(self, rows: Any) -> dict[str, Any]:
        return {
            gcp.StorageWriteToBigQuery.FAILED_ROWS_WITH_ERRORS: rows | beam.Filter(lambda _: False)
        }


def test_what_java_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Through all of `WriteToBigQuery`: a wrong option fails here."""
    monkeypatch.setattr(gcp, "SchemaAwareExternalTransform", Java)
    monkeypatch.setattr(Java, "asked", [])
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        pipeline | Create([pane()]) | ToBigQuery(DATASET)
    assert [options["table"] for options in Java.asked] == [
        f"my-project:streamlens.{table.name}" for table in (ROLLUP, UNIQUES_1M, UNIQUES_1H)
    ]
    for options in Java.asked:
        assert options["identifier"] == gcp.StorageWriteToBigQuery.IDENTIFIER
        assert options["use_at_least_once_semantics"] is True
        assert options["create_disposition"] == "CREATE_NEVER"
        assert options["write_disposition"] == "WRITE_APPEND"
        assert options["error_handling"] == {"output": "FailedRowsWithErrors"}
        assert options["auto_sharding"] is False
        assert options["num_streams"] == 0
        assert options["use_cdc_writes"] is False
        assert not options["triggering_frequency_seconds"]


def test_the_sink_is_the_storage_write_api() -> None:
    sink = storage_write(DATASET, ROLLUP)
    assert sink.method == "STORAGE_WRITE_API"
    assert sink.schema["fields"][1] == {"name": "grouping", "type": "INT64", "mode": "REQUIRED"}
    entries = storage_write(DATASET, UNIQUES_1H).schema["fields"][-1]
    assert entries == {"name": "entries", "type": "INT64", "mode": "REPEATED"}
