"""The OpenAPI document and the code agree: generated requests over real Valkey and ClickHouse.

Schemathesis makes valid and invalid requests from the document; every answer must be one that the
document allows, and none a 5xx.
"""

import time
from collections.abc import Iterator
from typing import Any

import flask
import numpy as np
import pytest
import redis
import schemathesis
from hypothesis import HealthCheck
from hypothesis import settings as examples
from schemathesis.checks import CheckFunction
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from deploy.clickhouse import ClickHouseServer
from deploy.services import ValkeyServer
from events import sketch
from serving import openapi
from serving.app import create_app
from serving.projects import Projects
from serving.settings import Settings
from stores.clickhouse import ClickHouseStore
from stores.clickhouse_events import ClickHouseEvents
from stores.hot import HotStore
from stores.pane import FINAL, MEASURES, MINUTE, Grouping, Pane

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

CHECKS: list[CheckFunction] = [
    schemathesis.checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


def _panes(start: int) -> Iterator[Pane]:
    """One minute of a small shop."""
    groupings: tuple[Grouping, ...] = ((), ("country",), ("device",), ("country", "device"))
    values = {"country": "DE", "device": "mobile"}
    for grouping in groupings:
        measures = np.array([[9, 5, 1, 1, 1, 1, 2_500_000]], np.int64)
        assert measures.shape[1] == len(MEASURES)
        users = sketch.from_hashes(np.array([1, 2, 3], np.uint64))
        series = [tuple(values[d] for d in grouping)]
        known = users if len(grouping) < 2 else users[:0]
        yield Pane("demo", grouping, start, MINUTE, FINAL, series, measures, known)


@pytest.fixture(scope="module")
def app(valkey: ValkeyServer, clickhouse: ClickHouseServer) -> Iterator[flask.Flask]:
    client = redis.Redis.from_url(valkey.address)
    client.flushall()
    now = int(time.time()) // MINUTE * MINUTE
    hot, cold = HotStore(client), ClickHouseStore(clickhouse.address, clickhouse.reader_address)
    events = ClickHouseEvents(clickhouse.address, clickhouse.reader_address)
    for ago in (2, 90, 2_000):  # minutes: some on each side of the seam
        hot.write(list(_panes(now - ago * MINUTE)))
        cold.write(list(_panes(now - ago * MINUTE)))
    hot.beat(now, since=0)
    settings = Settings(refresh_seconds=0.1, requests_per_ip=0, requests_per_key=0)
    yield create_app(settings, client, Projects.load(None), cold, events)
    cold.close()
    events.close()
    client.close()


# Of live numbers test_service asks: an event stream has no end, and feeds are greenlets, which are
# not run here.
schema = schemathesis.openapi.from_dict(openapi.document()).exclude(path_regex="^/v1/live/")


@schema.parametrize()
@examples(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_every_answer_is_one_the_document_allows(case: Any, app: flask.Flask) -> None:
    response = case.call(app=app, headers={"X-Read-Key": "demo-read-key"})
    case.validate_response(response, checks=CHECKS)


def test_the_document_names_every_address(app: flask.Flask) -> None:
    described = set(app.test_client().get("/v1/openapi.json").json["paths"])  # type: ignore[index]
    served = {
        rule.rule
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/v1/") or rule.rule.endswith("z")
    }
    assert served - {"/v1/live"} == described  # a WebSocket is not OpenAPI's matter
