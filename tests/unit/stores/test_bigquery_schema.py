"""Statements of the schema and its command line; nothing is connected."""

import re
from typing import Any

import pytest

from stores import bigquery_schema
from stores.bigquery_schema import Options, compaction, main, migrate, migrations, retention, script
from stores.bigquery_tables import TABLES
from stores.contract import StoreUnavailable

DATASET = "my-project.streamlens"


class Store:
    """Takes statements; knows which versions are applied."""

    def __init__(self, *versions: int) -> None:
        self.versions = versions
        self.ran: list[str] = []

        class Settings:
            dataset = DATASET

        self.settings = Settings()

    def run(self, statement: str, _: Any = None) -> list[Any]:
        self.ran.append(statement)
        if not statement.startswith("SELECT"):
            return []
        return [{"version": each, "title": "t", "at": "then"} for each in self.versions]


def test_versions_only_grow() -> None:
    assert [version for version, _, _ in migrations(DATASET)] == [1, 2]


def test_what_is_applied_is_not_applied_again() -> None:
    fresh, half, done = Store(), Store(1), Store(1, 2)
    assert migrate(fresh) == migrate(half) == migrate(done) == 2
    assert len([each for each in fresh.ran if "CREATE" in each]) == 7
    assert not [each for each in half.ran if "rollup_1m` (" in each]
    assert len([each for each in half.ran if "OR REPLACE VIEW" in each]) == 3
    assert [each.split()[0] for each in done.ran] == ["CREATE", "SELECT", *["ALTER"] * 3]


def test_every_statement_may_be_repeated() -> None:
    for _, _, statements in migrations(DATASET):
        for statement in statements:
            assert statement.startswith(("CREATE TABLE IF NOT EXISTS", "CREATE OR REPLACE VIEW"))


def test_tables_are_partitioned_clustered_and_complete() -> None:
    for table, statement in zip(TABLES, migrations(DATASET)[0][2], strict=True):
        names = {column.name for column in table.columns}
        assert {table.time, *table.clustered} <= names
        assert 1 <= len(table.clustered) <= 4
        assert f"PARTITION BY TIMESTAMP_TRUNC(`{table.time}`, DAY)" in statement
        assert ("require_partition_filter" in statement) == table.must_prune
        for column in table.columns:
            assert f"`{column.name}` " in statement


def test_retention() -> None:
    found = retention(DATASET, Options(rollup_days=3, minute_unique_days=0))
    assert [re.findall(r"= (\w+)", each) for each in found] == [["3"], ["NULL"], ["730"]]


def test_compaction_replaces_its_range_and_nothing_else() -> None:
    text = compaction(DATASET, "@start", "@end")
    assert text.count("`bucket` >= @start") == text.count("`bucket` < @end") == 2
    assert " ON FALSE WHEN NOT MATCHED BY TARGET THEN INSERT " in text
    assert text.endswith("THEN DELETE")


def test_the_command_prints_all_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--dataset", DATASET, "--rollup_days", "5", "sql"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed == list(script(DATASET, Options(rollup_days=5)))
    assert all(line.startswith("--") or line.endswith(";") for line in printed)
    assert "@run_time" in printed[-1]


def test_the_command_says_what_is_wrong(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> int:
        raise StoreUnavailable("BigQuery cannot be reached: no credentials")

    monkeypatch.setattr(bigquery_schema, "migrate", refuse)
    assert main(["--dataset", DATASET, "migrate"]) == 1
    assert capsys.readouterr().err == "BigQuery cannot be reached: no credentials\n"
    with pytest.raises(SystemExit):
        main(["--dataset", "a`b", "migrate"])
