"""The store before a client that a test plays: limits and what errors mean."""

from collections.abc import Callable
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any

import numpy as np
import pytest
import requests
from google.api_core import exceptions
from google.auth.exceptions import DefaultCredentialsError

from stores import bigquery
from stores.bigquery import BigQuerySettings, BigQueryStore, meaning, parameter
from stores.cold import open_cold
from stores.contract import Slice, StoreUnavailable, TooMuch
from stores.pane import FINAL, MEASURES, MINUTE, Pane

_api: Any = exceptions  # it has no types
_NoCredentials: Any = DefaultCredentialsError
DATASET = "my-project.streamlens"
ASK = Slice("p", (), (0, 60, 120))


class Client:
    """A bigquery.Client that answers every question alike."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.closed = False

    def query_and_wait(self, text: str, **options: Any) -> Any:
        self.asked.append((text, options))
        if isinstance(self.answer, Exception):
            raise self.answer
        return iter(self.answer)

    def close(self) -> None:
        self.closed = True


def store(answer: Any, **limits: Any) -> BigQueryStore:
    return BigQueryStore(BigQuerySettings(DATASET, **limits), Client(answer), object())


def asked(of: BigQueryStore) -> dict[str, Any]:
    options: dict[str, Any] = of._client.asked[0][1]
    return options


def test_a_url_names_dataset_and_limits() -> None:
    found = BigQuerySettings.parse(
        "bigquery://my-project/streamlens?location=EU&max_bytes_billed=1000&seconds=2.5"
    )
    assert found == BigQuerySettings(DATASET, "EU", 1000, 2.5)
    opened = open_cold("bigquery://my-project/streamlens")
    assert isinstance(opened, BigQueryStore)
    assert opened.settings == BigQuerySettings(DATASET)
    opened.close()


@pytest.mark.parametrize(
    "url",
    [
        "bigquery://my-project",
        "bigquery://my-project/a`b",
        "bigquery://my-project/a/b",
        "bigquery:///streamlens",
        "clickhouse://my-project/streamlens",
        "bigquery://my-project/streamlens?password=x",
        "bigquery://my-project/streamlens?seconds=soon",
    ],
)
def test_bad_urls(url: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        BigQuerySettings.parse(url)


def test_every_question_has_its_limits() -> None:
    one = store([], max_bytes_billed=123, seconds=4.5)
    one.counts(ASK)
    options = asked(one)
    config = options["job_config"].to_api_repr()
    assert config["query"]["maximumBytesBilled"] == "123"
    assert config["jobTimeoutMs"] == "4500"
    assert config["labels"] == {"app": "streamlens"}
    assert options["wait_timeout"] == options["api_timeout"] == 4.5
    assert options["retry"]._timeout == 4.5
    assert options["job_retry"] is None


def test_our_own_statements_have_no_limit_on_bytes() -> None:
    one = store([])
    one.run("SELECT 1")
    assert "maximumBytesBilled" not in asked(one)["job_config"].to_api_repr()["query"]


def test_answers_are_bounded() -> None:
    row = {"step": 0, **dict.fromkeys(MEASURES, 1)}
    assert store([row], max_rows=1).counts(ASK).measures[0, :, 0].tolist() == [1, 0]
    with pytest.raises(TooMuch, match="over 1 values"):
        store([row, {**row, "step": 1}], max_rows=1).counts(ASK)
    users = [{"step": step, "entries": [65]} for step in range(2)]
    assert len(store(users, max_sketches=2).users(ASK)) == 2
    with pytest.raises(TooMuch, match="over 1 sketches"):
        store(users, max_sketches=1).users(ASK)


@pytest.mark.parametrize("reason", sorted(bigquery._TOO_MUCH))
@pytest.mark.parametrize("kind", [_api.BadRequest, _api.InternalServerError, _api.Forbidden])
def test_too_much(reason: str, kind: Callable[..., Exception]) -> None:
    error = kind("Query exceeded limit", errors=[{"reason": reason, "message": "…"}])
    with pytest.raises(TooMuch, match="limit"):
        store(error).counts(ASK)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (_api.NotFound("no table\nJob ID: 1"), "refuses: 404 no table"),
        (_api.Forbidden("x", errors=[{"reason": "accessDenied"}]), "refuses"),
        (_api.ServiceUnavailable("away"), "refuses: 503"),
        (FutureTimeout(), "does not answer in 30 s"),
        (_api.RetryError("gave up", None), "does not answer"),
        (requests.ConnectionError("refused"), "cannot be reached: refused"),
        (_NoCredentials("no credentials"), "cannot be reached: no credentials"),
        (OSError("broken pipe"), "cannot be reached: broken pipe"),
    ],
)
def test_unavailable(error: Exception, line: str) -> None:
    questions: list[Callable[[BigQueryStore], object]] = [
        lambda one: one.counts(ASK),
        lambda one: one.users(ASK),
        lambda one: one.completeness("p", (0, 60)),
        lambda one: one.run("SELECT 1"),
    ]
    for question in questions:
        with pytest.raises(StoreUnavailable, match=line) as found:
            question(store(error))
        assert "\n" not in found.value.args[0]


def test_a_limit_told_by_its_message_only() -> None:
    error = _api.InternalServerError("Query exceeded limit for bytes billed: 1. 10485760 needed")
    assert isinstance(meaning(error), TooMuch)


def test_nothing_is_asked_of_an_empty_range() -> None:
    one = store(AssertionError("asked"))
    empty = Slice("p", (), (60, 60))
    assert one.counts(empty).series == []
    assert one.users(empty) == {}
    assert one.completeness("p", (60, 60)).tolist() == [0]


def test_users_of_what_is_not_kept() -> None:
    with pytest.raises(ValueError, match="no unions"):
        store([]).users(Slice("p", ("country",), (0, 60)))


def test_parameters_have_types() -> None:
    found = {
        name: parameter(name, value).to_api_repr()
        for name, value in (("a", "x"), ("b", 1), ("c", ["x"]), ("d", [1, 2]))
    }
    assert found["a"]["parameterType"] == {"type": "STRING"}
    assert found["b"]["parameterType"] == {"type": "INT64"}
    assert found["c"]["parameterType"] == {"type": "ARRAY", "arrayType": {"type": "STRING"}}
    assert found["d"]["parameterType"] == {"type": "ARRAY", "arrayType": {"type": "INT64"}}


def test_numbers_are_written_after_users(monkeypatch: pytest.MonkeyPatch) -> None:
    one, tables = store([]), list[str]()

    class Appender:
        def __init__(self, *_: Any) -> None:
            pass

        def append(self, table: Any, rows: list[Any]) -> None:
            assert rows
            tables.append(table.name)

        def close(self) -> None:
            tables.append("closed")

    monkeypatch.setattr(bigquery, "Appender", Appender)
    measures = np.ones((2, len(MEASURES)), np.int64)
    pane = Pane("p", ("country",), 0, MINUTE, FINAL, [("a",), ("b",)], measures)
    users = np.array([65], np.uint32)
    total = Pane("p", (), 0, MINUTE, FINAL, [()], measures[:1], users)
    assert one.write([pane, total]) == 3
    assert one.write([]) == 0
    client: Any = one._client
    one.close()
    assert tables == ["uniques_1m", "uniques_1h", "rollup_1m", "closed"]
    assert client.closed
