"""The SQL of questions: what may stand in the text, and what BigQuery needs to skip days."""

import re

import pytest

from stores.bigquery_sql import Query, completeness, counts, users
from stores.contract import DAY, HOUR, Slice, edges
from stores.pane import GROUPING_SETS, SKETCHED

DATASET = "my-project.streamlens"
EVIL = "x'); DROP TABLE `t"
# GoogleSQL's reserved words that are names of ours.
RESERVED = ("rows", "grouping")


def questions() -> list[Query]:
    found = [completeness(DATASET, EVIL, (0, 60, 180))]
    for grouping in GROUPING_SETS:
        where = tuple((name, (EVIL, "b")) for name in grouping)
        for steps in ((0, 60, 120), (0, 60, 180), edges(0, 3 * DAY, DAY, "Asia/Kolkata")):
            for by in ((), grouping):
                found.append(counts(DATASET, Slice(EVIL, grouping, steps, where, by), 9))
                hours = tuple(edge // HOUR * HOUR for edge in (0, 7_200, 86_400))
                if grouping in SKETCHED:
                    found.append(users(DATASET, Slice(EVIL, grouping, hours, where, by), 9))
    for steps in ((0, 60), (60, 7_260), (1_800, 88_200, 174_600)):
        found.append(users(DATASET, Slice(EVIL, (), steps), 9))
    return found


@pytest.mark.parametrize("query", questions())
def test_statements(query: Query) -> None:
    assert EVIL not in query.text
    assert DATASET in query.text
    # Each parameter is used, and none is missing.
    assert set(re.findall(r"@(\w+)", query.text)) == set(query.values)
    # Names are quoted: some are reserved words. What is left are functions and keywords.
    bare = re.sub(r"`[^`]*`|'[^']*'|@\w+", " ", query.text)
    for name in (*RESERVED, "minute", "bucket", "step", "entries", "value", "country", "version"):
        assert not re.search(rf"\b{name}\b", bare), name
    # Every table is read with constant bounds on its partitioning column.
    for table, column in re.findall(r"FROM `[^`]*\.(\w+)`.*?WHERE .*?(`\w+`) >= ", query.text):
        assert column == ("`minute`" if table == "rollup_1m" else "`bucket`")
    tables = len(re.findall(r"FROM `", query.text))
    assert query.text.count("< TIMESTAMP_SECONDS(@end)") == tables
    assert query.text.count(">= TIMESTAMP_SECONDS(@start)") == tables
    assert query.text.count("`project` = @project") == tables


def test_steps_of_one_width_are_a_division_and_others_are_looked_up() -> None:
    assert (
        "DIV((UNIX_SECONDS(`minute`) - @start), @width)"
        in counts(DATASET, Slice("p", (), (60, 120, 180)), 9).text
    )
    uneven = counts(DATASET, Slice("p", (), (60, 120, 240)), 9)
    assert "RANGE_BUCKET(UNIX_SECONDS(`minute`), @edges) - 1" in uneven.text
    assert uneven.values["edges"] == [60, 120, 240]


@pytest.mark.parametrize(
    ("steps", "tables"),
    [
        ((0, HOUR, 2 * HOUR), ["uniques_1h"]),
        ((0, 60, 120), ["uniques_1m"]),
        ((60, HOUR + 60), ["uniques_1m"]),
        ((60, 3 * HOUR), ["uniques_1m", "uniques_1h"]),
        ((0, 3 * HOUR + 60), ["uniques_1m", "uniques_1h"]),
    ],
)
def test_minutes_of_users_are_read_where_an_edge_cuts_an_hour(
    steps: tuple[int, ...], tables: list[str]
) -> None:
    query = users(DATASET, Slice("p", (), steps), 9)
    assert re.findall(r"FROM `[^`]*\.(\w+)`", query.text) == tables


def test_the_cut_hours_are_those_of_edges_inside_them() -> None:
    query = users(DATASET, Slice("p", (), (1_800, DAY + 1_800, 2 * DAY + 1_800)), 9)
    assert query.values["cut"] == [0, DAY, 2 * DAY]
