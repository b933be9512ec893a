"""History in BigQuery, before an emulator and the analyzer: see `bigquery_emulator` for limits."""

import json
import random
import subprocess
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.transforms.core import Create

from deploy.artifacts import ArtifactError
from deploy.ports import free_port
from pipelines.bigquery_sink import ToBigQuery
from stores import bigquery_sql
from stores.bigquery import BigQueryStore
from stores.bigquery_schema import Options, applied, compact, compaction, migrate, script
from stores.bigquery_tables import TABLES, Table
from stores.contract import (
    DAY,
    HAS_FINAL,
    HAS_REVISED,
    HOUR,
    Slice,
    StoreUnavailable,
    TooMuch,
    edges,
)
from stores.pane import FINAL, GROUPING_SETS, MEASURES, MINUTE, PARTIAL, REVISED, SKETCHED, Pane
from tests.integration.bigquery_emulator import (
    PROJECT,
    BigQueryEmulator,
    ensure_emulator,
    environment,
    python,
)
from tests.integration.store_contract import StoreContract, Subject, pane

pytestmark = pytest.mark.integration

START = int(time.time()) // DAY * DAY - 5 * DAY + 20 * HOUR
DATASET = f"{PROJECT}.streamlens"


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BigQueryEmulator]:
    try:
        ensure_emulator()
    except ArtifactError as error:
        pytest.skip(f"no stand-in for BigQuery: {error}")
    folder = tmp_path_factory.mktemp("bigquery")
    with BigQueryEmulator(folder, free_port(), free_port()) as server:
        yield server


@pytest.fixture(scope="module")
def store(emulator: BigQueryEmulator) -> Iterator[BigQueryStore]:
    opened = emulator.store("streamlens")
    opened.run(f"CREATE SCHEMA `{DATASET}`")
    migrate(opened)
    yield opened
    opened.close()


class TestContract(StoreContract):
    @pytest.fixture
    def subject(self, store: BigQueryStore) -> Subject:
        return Subject(store, START, 60)

    # The emulator takes 30 ms for a question, and each seed asks 300.
    @pytest.mark.parametrize(
        "seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2, 3))]
    )
    def test_any_order_duplication_and_batching(
        self, subject: Subject, project: str, seed: int
    ) -> None:
        super().test_any_order_duplication_and_batching(subject, project, seed)


def test_migrations_are_applied_once(store: BigQueryStore) -> None:
    before = applied(store)
    assert [version for version, _, _ in before] == [1, 2]
    assert migrate(store, Options(rollup_days=10)) == 2
    assert applied(store) == before


def test_hours_and_days_are_the_sums_of_the_latest_minutes(store: BigQueryStore) -> None:
    start, project = START // DAY * DAY, "sums"
    minutes = [pane(start + at * MINUTE, at + 1, project=project) for at in range(0, 2_000, 70)]
    store.write(minutes)
    late = pane(start + 70 * MINUTE, 1_000, project=project, status=REVISED)
    store.write([late, pane(start + 140 * MINUTE, 5, project=project), minutes[3]])
    rows = {int(part.start): int(part.measures[0, 0]) for part in [*minutes, late]}
    for unit, seconds in (("hour", HOUR), ("day", DAY)):
        found = store.run(
            f"SELECT UNIX_SECONDS(`{unit}`) AS `at`, `rows`, `page_views`, `version`, `status`"
            f" FROM `{DATASET}.rollup_1{unit[0]}` WHERE `project` = '{project}' ORDER BY `at`"
        )
        sums: dict[int, int] = {}
        for at, count in rows.items():
            sums[at // seconds * seconds] = sums.get(at // seconds * seconds, 0) + count
        assert {row["at"]: row["rows"] for row in found} == sums
        assert all(row["rows"] == row["page_views"] for row in found)
        changed = next(row for row in found if row["at"] == late.start // seconds * seconds)
        bits = HAS_REVISED if unit == "hour" else HAS_REVISED | HAS_FINAL
        assert changed["status"] == bits
    schema = store._connected().get_table(f"{DATASET}.rollup_1h").schema
    expected = ["project", "grouping", "country", "device", "category", "hour", *MEASURES]
    assert [field.name for field in schema] == [*expected, "version", "status"]


def test_compaction_leaves_one_row_per_key_and_the_same_users(store: BigQueryStore) -> None:
    project, grouping = "compact", ("country",)
    start = START // DAY * DAY
    for minute in range(6):
        at = start + 58 * MINUTE + minute * MINUTE
        for of, values in (((), ()), (grouping, ("DE",)), (grouping, ("US",))):
            users = [f"{values}{minute}{i}" for i in range(5)]
            store.write([pane(at, 1, project=project, grouping=of, values=values, users=users)])
    ask = Slice(project, grouping, edges(start, start + 2 * HOUR, HOUR), by=grouping)
    before = {key: value.tolist() for key, value in store.users(ask).items()}
    assert len(before) == 4
    count = (
        f"SELECT COUNT(*) AS `n` FROM `{DATASET}.uniques_1h`"
        f" WHERE `project` = '{project}' AND `bucket` > '2000-01-01'"
    )
    assert store.run(count)[0]["n"] == 18
    for _ in range(2):
        compact(store, start + HOUR, start + 2 * HOUR)  # the second hour, of four minutes
        assert store.run(count)[0]["n"] == 2 * 3 + 3
    compact(store, start, start + DAY)
    assert store.run(count)[0]["n"] == 6
    assert {key: value.tolist() for key, value in store.users(ask).items()} == before


def test_answers_have_limits(emulator: BigQueryEmulator, store: BigQueryStore) -> None:
    small = emulator.store("streamlens", max_rows=2, max_sketches=2)
    users = ["ann"]
    store.write([pane(START + i * MINUTE, 1, project="limits", users=users) for i in range(3)])
    two, three = (edges(START, START + n * MINUTE, MINUTE) for n in (2, 3))
    assert small.counts(Slice("limits", (), two)).measures[0, :, 0].tolist() == [1, 1]
    assert len(small.users(Slice("limits", (), two))) == 2
    with pytest.raises(TooMuch, match="over 2 values"):
        small.counts(Slice("limits", (), three))
    with pytest.raises(TooMuch, match="over 2 sketches"):
        small.users(Slice("limits", (), three))
    small.close()


def test_a_dataset_that_is_not_there(emulator: BigQueryEmulator) -> None:
    away = emulator.store("nowhere")
    with pytest.raises(StoreUnavailable, match="refuses: 404"):
        away.counts(Slice("p", (), (START, START + HOUR)))
    with pytest.raises(StoreUnavailable, match="takes no rows for rollup_1m"):
        away.write([pane(START, 1, project="p")])
    away.close()


def test_a_server_that_is_not_there(emulator: BigQueryEmulator, tmp_path: Path) -> None:
    ports = free_port(), free_port()
    away = BigQueryEmulator(tmp_path, *ports).store("streamlens", seconds=1.0)
    began = time.monotonic()
    with pytest.raises(StoreUnavailable):
        away.counts(Slice("p", (), (START, START + HOUR)))
    with pytest.raises(StoreUnavailable, match="takes no rows"):
        away.write([pane(START, 1, project="p")])
    assert time.monotonic() - began < 20
    away.close()


class EmulatorSink(beam.PTransform):
    """In the place of Java's sink: rows as it gets them, into the emulator; refuses none."""

    def __init__(self, ports: tuple[int, int], table: Table) -> None:
        super().__init__()
        self.ports, self.table = ports, table

    def expand(self, rows: Any) -> Any:
        refused = rows | beam.ParDo(AppendRows(self.ports, self.table))
        return Refusals(refused)


class Refusals:
    def __init__(self, rows: Any) -> None:
        self.failed_rows_with_errors = rows


class AppendRows(beam.DoFn):
    def __init__(self, ports: tuple[int, int], table: Table) -> None:
        self.ports, self.table = ports, table

    def setup(self) -> None:
        self.store = BigQueryEmulator(Path(), *self.ports).store("streamlens")

    def process(self, element: dict[str, Any]) -> Iterable[Any]:
        times = [column.name for column in self.table.columns if column.type == "TIMESTAMP"]
        row = {**element, **{name: element[name].micros for name in times}}
        self.store._append().append(self.table, [row])
        return ()

    def teardown(self) -> None:
        self.store.close()


def test_a_pipeline_writes_what_the_store_writes(
    emulator: BigQueryEmulator, store: BigQueryStore
) -> None:
    rng = random.Random(7)
    grouping = ("country",)
    panes: dict[str, list[Pane]] = {}
    for project in ("by beam", "by store"):
        rng.seed(7)
        panes[project] = [
            pane(
                START + rng.randrange(3) * MINUTE,
                rng.randrange(1, 100),
                project=project,
                grouping=of,
                values=values,
                status=rng.choice((PARTIAL, FINAL, REVISED)),
                users=[f"user {rng.randrange(9)}"],
            )
            for of, values in [((), ()), (grouping, ("DE",))] * 8
        ]
    ports = emulator.rest, emulator.grpc_port
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        sink = ToBigQuery(DATASET, lambda _, table: EmulatorSink(ports, table))
        pipeline | Create(panes["by beam"]) | sink
    store.write([each for each in panes["by store"] if each.status != PARTIAL])
    for of in ((), grouping):
        asks = [Slice(project, of, edges(START, START + HOUR, HOUR), by=of) for project in panes]
        one, two = (store.counts(ask) for ask in asks)
        assert one.series == two.series
        assert one.measures.any()
        assert one.measures.tolist() == two.measures.tolist()
        users = [{k: v.tolist() for k, v in store.users(ask).items()} for ask in asks]
        assert users[0] == users[1] != {}


@pytest.mark.timeout(600)  # the first run compiles the analyzer
def test_bigquery_would_understand_every_statement(emulator: BigQueryEmulator) -> None:
    kinds = {
        f"{DATASET}.{table.name}": [
            (column.name, f"ARRAY<{column.type}>" if column.repeated else column.type)
            for column in table.columns
        ]
        for table in TABLES
    }
    kinds[f"{DATASET}.rollup_1m_latest"] = kinds[f"{DATASET}.rollup_1m"]
    kinds[f"{DATASET}.schema_version"] = [
        ("version", "INT64"),
        ("title", "STRING"),
        ("applied_at", "TIMESTAMP"),
    ]
    statements = [(query.text, types(query.values)) for query in questions()]
    times = dict.fromkeys(("start", "end", "run_time"), "TIMESTAMP")
    for line in script(DATASET, Options(minute_unique_days=0)):
        if not line.startswith("--"):
            statements.append((line.rstrip(";"), times))
    statements.append((compaction(DATASET, "@start", "@end"), times))
    wrong = [
        f"SELECT rows FROM `{DATASET}.rollup_1m`",
        f"SELECT `minute` + 1 FROM `{DATASET}.rollup_1m`",
        f"SELECT NO_SUCH_FUNCTION(`minute`) FROM `{DATASET}.rollup_1m`",
    ]
    asked = {"tables": kinds, "statements": statements + [(each, {}) for each in wrong]}
    done = subprocess.run(
        python("googlesql.py"),
        input=json.dumps(asked),
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=590,
    )
    assert done.returncode == 0, done.stderr[-1000:]
    errors = json.loads(done.stdout)
    found = {text: error for (text, _), error in zip(statements, errors, strict=False) if error}
    assert not found
    assert all(errors[len(statements) :])  # it does find mistakes


def questions() -> Iterator[bigquery_sql.Query]:
    """Every shape of a question."""
    yield bigquery_sql.completeness(DATASET, "p", (0, 60, 120))
    yield bigquery_sql.completeness(DATASET, "p", (0, 60, 180))
    both: list[tuple[int, ...]] = [(0, 60, 120), (0, 60, 180)]
    for grouping in GROUPING_SETS:
        where = tuple((name, ("x", "y")) for name in grouping)
        for by in ((), grouping):
            for steps in both:
                yield bigquery_sql.counts(DATASET, Slice("p", grouping, steps, where, by), 9)
            if grouping in SKETCHED:
                yield bigquery_sql.users(DATASET, Slice("p", grouping, (0, 3600), where, by), 9)
    cut: list[tuple[int, ...]] = [(0, 60), (60, 7_260), (1_800, 88_200, 174_660)]
    for steps in cut:
        yield bigquery_sql.users(DATASET, Slice("p", (), steps), 9)


def types(values: dict[str, Any]) -> dict[str, str]:
    kinds: dict[type, str] = {int: "INT64", str: "STRING"}
    return {
        name: f"ARRAY<{kinds[type(value[0])]}>" if isinstance(value, list) else kinds[type(value)]
        for name, value in values.items()
    }
