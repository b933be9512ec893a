"""The service's addresses, headers and error envelopes, without a store."""

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import redis
from flask.testing import FlaskClient
from werkzeug.wrappers import Response

from events.reasons import REQUEST_ERRORS
from serving.app import HEADERS, create_app
from serving.credentials import ReadKey, key_hash
from serving.projects import Project, Projects
from serving.settings import HELP, Settings

STATIC = Path(__file__).resolve().parents[3] / "serving" / "static"
KEY = {"X-Read-Key": "demo-read-key"}


class Away:
    """A Redis client whose server is not there."""

    def register_script(self, text: str) -> str:
        return text

    def __getattr__(self, name: str) -> Any:
        def call(*_: Any, **__: Any) -> Any:
            raise redis.ConnectionError("away")

        return call


def said(answer: Response) -> Any:
    """The JSON of an answer."""
    return json.loads(answer.data)


@pytest.fixture
def client() -> FlaskClient:
    return create_app(Settings(), Away(), Projects.load(None)).test_client()


@pytest.mark.parametrize(
    ("path", "headers", "code"),
    [
        ("/v1/metrics", {}, "read_key_missing"),
        ("/v1/metrics", {"X-Read-Key": "wrong"}, "read_key_unknown"),
        ("/v1/metrics", {"X-Read-Key": "demo-write-key"}, "read_key_unknown"),
        ("/v1/metrics?key=demo-read-key", {}, "read_key_missing"),
        ("/v1/metrics?metrics=sales", KEY, "parameter_invalid"),
        ("/v1/metrics", KEY, "store_unavailable"),
        ("/readyz", {}, "store_unavailable"),
        ("/nothing", {}, "not_found"),
        ("/static/../app.py", {}, "not_found"),
    ],
)
def test_every_refusal_has_the_one_envelope(
    client: FlaskClient, path: str, headers: dict[str, str], code: str
):
    answer = client.get(path, headers=headers)
    assert answer.status_code == REQUEST_ERRORS[code].status
    assert set(said(answer)) == {"error"}
    assert set(said(answer)["error"]) == {"code", "message"}
    assert said(answer)["error"]["code"] == code
    if code == "store_unavailable":
        assert answer.headers["Retry-After"] == "2"


def test_another_method_is_refused(client: FlaskClient):
    answer = client.post("/v1/metrics")
    assert (answer.status_code, said(answer)["error"]["code"]) == (405, "method_not_allowed")


def test_health_needs_no_store(client: FlaskClient):
    assert client.get("/healthz").status_code == 200


def test_the_policy_lets_nothing_inline_and_no_other_site(client: FlaskClient):
    for path in ("/", "/healthz", "/nothing", "/static/app.js"):
        with client.get(path) as answer:
            policy = answer.headers["Content-Security-Policy"]
            assert "unsafe" not in policy
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Referrer-Policy"] == "no-referrer"


def test_every_address_has_the_headers_and_refuses_alike(client: FlaskClient):
    """In the ways of OWASP's secure headers; whoever asks, and whatever is wrong."""
    rules = [
        rule.rule.replace("<path:filename>", "x")
        for rule in client.application.url_map.iter_rules()
    ]
    assert len(rules) > 10
    for rule in rules:
        for method in ("GET", "POST", "DELETE", "OPTIONS"):
            with client.open(rule, method=method) as answer:
                # Any site's pages load the SDK, and browsers keep it for a while.
                shared = (method, rule, answer.status_code) == ("GET", "/streamlens.js", 200)
                own = {"Cross-Origin-Resource-Policy": "cross-origin"} if shared else {}
                for name, value in (HEADERS | own).items():
                    assert answer.headers[name] == value, (method, rule)
                assert "Server" not in answer.headers
                assert shared or answer.headers["Cache-Control"] in ("no-store", "no-cache")
                if rule.startswith("/v1/"):
                    assert "Origin" in answer.headers["Vary"]
                if answer.status_code >= 400:
                    envelope = said(answer)
                    assert set(envelope) == {"error"}
                    assert set(envelope["error"]) == {"code", "message"}
                    known = REQUEST_ERRORS[envelope["error"]["code"]]
                    assert known.status == answer.status_code
                    assert answer.headers["Content-Type"] == "application/json"


def test_the_page_asks_no_other_site_and_names_the_source_of_its_places():
    page = (STATIC / "index.html").read_text()
    loaded = re.findall(r'<(?:script|link|img)[^>]*(?:src|href)="([^"]*)"', page)
    assert loaded
    for address in loaded:
        assert (STATIC / address.removeprefix("/static/")).is_file(), address
    assert " style=" not in page
    assert "onclick" not in page
    assert "data:" not in page
    assert re.search(r'<a href="https://db-ip\.com"[^>]*>IP geolocation by DB-IP</a>', page)


def test_keys_are_handed_out_for_the_demo_only(client: FlaskClient):
    assert said(client.get("/v1/config"))["read_key"] == "demo-read-key"
    shop = Project(name="shop", read_keys=[ReadKey(hash=key_hash("demo-read-key"))])
    own = create_app(Settings(), Away(), Projects([shop])).test_client()
    config = said(own.get("/v1/config"))
    assert config["read_key"] is None
    assert config["write_key"] is None
    assert config["collector_url"] == "http://127.0.0.1:8081"


def test_every_setting_is_an_option_with_help(capsys: pytest.CaptureFixture[str]):
    assert set(HELP) == {item.name for item in fields(Settings)}
    with pytest.raises(SystemExit):
        Settings.parse(["--help"])
    shown = capsys.readouterr().out
    for item in fields(Settings):
        assert f"--{item.name}" in shown
    parsed = Settings.parse(["--port", "1", "--refresh_seconds", "0.5", "--projects", "x.json"])
    assert (parsed.port, parsed.refresh_seconds, parsed.projects) == (1, 0.5, Path("x.json"))
