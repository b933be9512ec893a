"""Nothing that a client says reaches a log: address, key, query, path, header, or what is sent."""

import asyncio
import json
import logging
import re
from types import SimpleNamespace
from typing import Any

import pytest
from flask.testing import FlaskClient
from gunicorn.config import Config
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.breaker import LEAST, Breaker, Limit, TooManyDead
from pipelines.sinks import LogDeadLetters
from serving.app import create_app
from serving.projects import Projects
from serving.server_log import ServerLog
from serving.settings import Settings
from telemetry import logs, metrics
from tests.unit.serving.client import Client, event, events
from tests.unit.serving.test_app import Away
from transforms.decode import Message, decode

ROUTES = "|".join(re.escape(route) for route in (*metrics.SERVICE_ROUTES, "other"))
ACCESS = re.compile(
    rf"(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|other) ({ROUTES}) \d{{3}} "
    r"\d+\.\d ms \d+ B"
)
FIELDS = {"time", "level", "logger", "message", "method", "route", "status", "ms", "bytes"}
INVALID = "Invalid request from ip="
SECRET = "ann.smith+203.0.113.7"

said_by_clients = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1)


@pytest.fixture(scope="module")
def client() -> FlaskClient:
    return create_app(Settings(), Away(), Projects.load(None)).test_client()


@given(
    st.sampled_from(["GET", "POST", "PUT", "HEAD", "OPTIONS", "BREW", "ann"]),
    st.sampled_from(["/", "/v1/metrics", "/v1/breakdown", "/static/", "/v1/config", "/v1/"]),
    said_by_clients,
)
@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_an_access_line_is_made_of_our_own_words(
    client: FlaskClient, caplog: pytest.LogCaptureFixture, method: str, path: str, said: str
) -> None:
    caplog.clear()
    with caplog.at_level(logging.INFO):
        client.open(
            path + said.replace("?", "").replace("#", "").replace("/", ""),
            method=method,
            query_string={"key": said, "filter": said, said: said},
            headers={"X-Read-Key": said, "User-Agent": said, "Referer": said, "X-Real-IP": said},
            environ_base={"REMOTE_ADDR": "203.0.113.7"},
        )
    lines = [r for r in caplog.records if r.name == "streamlens.access"]
    assert len(lines) == 1
    assert ACCESS.fullmatch(lines[0].getMessage())
    assert set(json.loads(logs.JsonFormatter().format(lines[0]))) == FIELDS


def written(caplog: pytest.LogCaptureFixture) -> str:
    """All that was logged, in both formats."""
    kinds = (logs.JsonFormatter(), logging.Formatter(logs.TEXT))
    return "\n".join(kind.format(record) for kind in kinds for record in caplog.records)


def test_the_service_logs_nothing_of_a_request(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        for path in (f"/{SECRET}", "/v1/metrics", "/v1/config", "/static/app.js"):
            for key in ("demo-read-key", SECRET):
                client.get(
                    path,
                    query_string={"filter": f"country:{SECRET}"},
                    headers={"X-Read-Key": key, "X-Forwarded-For": SECRET, "Cookie": SECRET},
                    environ_base={"REMOTE_ADDR": "203.0.113.7"},
                ).close()
    assert "hot is away" in written(caplog)
    for secret in (SECRET, "203.0.113.7", "demo-read-key", "smith"):
        assert secret not in written(caplog)


def test_the_collector_logs_nothing_of_a_request(caplog: pytest.LogCaptureFixture) -> None:
    collector = Client(peer="203.0.113.7")
    bodies: list[Any] = [
        events(event(user_id=SECRET, url=f"https://x/?q={SECRET}", props={"mail": SECRET})),
        events(event(user_id=SECRET, ts=SECRET), event(amount=SECRET), {"user_id": SECRET}),
        events(event(user_id=SECRET), batch_id=SECRET),
        f"{{{SECRET}".encode(),
        SECRET.encode(),
    ]

    async def send() -> None:
        for body in bodies:
            for key in ("demo-write-key", SECRET):
                headers = {"X-Write-Key": key, "User-Agent": SECRET, "X-Forwarded-For": SECRET}
                await collector.post(body, headers=headers)
        collector.broker.down = True
        await collector.post(bodies[0])
        await collector.request("GET", f"/{SECRET}", query=f"key={SECRET}")

    with caplog.at_level(logging.DEBUG):
        asyncio.run(send())
    for secret in (SECRET, "203.0.113.7", "demo-write-key", "smith"):
        assert secret not in written(caplog)


def test_an_error_is_told_without_its_text(
    monkeypatch: pytest.MonkeyPatch, client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        try:
            raise KeyError(SECRET)
        except KeyError as error:
            raise RuntimeError(SECRET) from error

    monkeypatch.setattr("serving.query.parse", fail)
    collector = Client()
    monkeypatch.setattr(collector.app._intake, "take", fail)
    with caplog.at_level(logging.DEBUG):
        assert client.get("/v1/metrics", headers={"X-Read-Key": "demo-read-key"}).status_code == 500
        assert asyncio.run(collector.post(events(event()))).status == 500
    text = written(caplog)
    assert text.count("a request failed: RuntimeError at test_privacy.py:") == 4
    assert "; from KeyError at test_privacy.py:" in text
    assert SECRET not in text


def test_gunicorn_tells_neither_address_nor_url(caplog: pytest.LogCaptureFixture) -> None:
    log = ServerLog(Config())
    logger = logging.getLogger("gunicorn.error")
    try:
        with caplog.at_level(logging.DEBUG):
            log.warning(f"{INVALID}203.0.113.7: {SECRET}")  # noqa: G004 - as gunicorn does
            try:
                raise ValueError("closed")
            except ValueError:
                log.exception("Error handling request %s", f"/v1/metrics?key={SECRET}")
                log.exception("Error handling request %s %s", "GET", f"/?key={SECRET}")
            log.warning("Worker graceful timeout (pid:%s)", 7)
    finally:
        logger.propagate = True
    text = written(caplog)
    assert "a request was malformed" in text
    assert "a request failed outside the application" in text
    assert "Worker graceful timeout (pid:7)" in text
    assert SECRET not in text
    assert "203.0.113.7" not in text


def test_gunicorn_still_says_these_things_in_these_words() -> None:
    """Else the two above pass, and the addresses are back."""
    from gunicorn.workers.base import Worker

    told: list[str] = []
    worker = SimpleNamespace(
        cfg=Config(),
        log=SimpleNamespace(
            warning=lambda m, *_: told.append(m),
            exception=lambda m, *_: told.append(m),
            debug=lambda *_: None,
            access=lambda *_: None,
        ),
    )
    from gunicorn.http.errors import InvalidRequestLine

    for error in (InvalidRequestLine(SECRET), ValueError("x")):
        Worker.handle_error(worker, None, None, ("203.0.113.7", 1), error)
    assert told[0].startswith(INVALID)
    assert told[1].startswith("Error handling request")


def test_the_job_logs_nothing_of_what_it_cannot_decode(caplog: pytest.LogCaptureFixture) -> None:
    payloads = [
        SECRET.encode(),
        f'{{"type":"click","user_id":"{SECRET}"}}'.encode(),
        f'{{"type":"click","user_id":"u","ts":1700000000000,"props":{{"{SECRET}":[]}}}}'.encode(),
        f'{{"type":"click","user_id":"u","ts":1700000000000,"project":"{SECRET}"}}'.encode(),
    ]
    breaker = Breaker(Limit(0.1))
    with caplog.at_level(logging.DEBUG):
        for payload in payloads * LEAST:
            held = Message(payload, project=SECRET, topic="events")
            decoded = decode(held)
            breaker.note(decoded, [held])
            for letter in decoded.dead:
                list(LogDeadLetters().process(letter))
        with pytest.raises(TooManyDead):
            breaker.check()
    text = written(caplog)
    assert "dead letter: event_field_missing: Object missing required field `ts`" in text
    assert "dead-letter limit reached: 100%" in text
    for secret in (SECRET, "203.0.113.7", "smith"):
        assert secret not in text
