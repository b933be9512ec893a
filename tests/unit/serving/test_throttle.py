"""The service's limits: requests by client and key, and open connections."""

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from werkzeug.test import TestResponse

from serving.app import create_app
from serving.buckets import PAUSE_S, Buckets
from serving.credentials import ReadKey, key_hash
from serving.ingest.errors import RequestError
from serving.limits import Ask, Limit
from serving.projects import DEMO, Project, Projects
from serving.settings import GUESS, Settings
from serving.throttle import Throttle
from telemetry.metrics import SERVICE
from tests.unit.serving.counting import Clock, CountingServer
from tests.unit.telemetry.samples import value

KEY, OTHER = "demo-read-key", "shop-read-key"
PROJECTS = Projects([DEMO, Project(name="shop", read_keys=[ReadKey(hash=key_hash(OTHER))])])
ASKED = "/v1/config"  # needs no store


@dataclass
class Site:
    """A service whose Redis counts and does nothing else; its clients come through a proxy."""

    settings: Settings
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.server = CountingServer(self.clock)
        self.app = create_app(self.settings, self.server, PROJECTS)
        self.throttle: Throttle = self.app.extensions["throttle"]
        self.throttle._buckets = Buckets(self.server, self.clock)
        self.app.extensions["gate"]._client = self.server
        self.client = self.app.test_client()

    def get(
        self, path: str = ASKED, key: str = "", ip: str = "192.0.2.1", method: str = "GET"
    ) -> TestResponse:
        headers = {"X-Forwarded-For": ip} | ({"X-Read-Key": key} if key else {})
        return self.client.open(path, method=method, headers=headers)

    def statuses(self, count: int, **asked: Any) -> list[int]:
        return [self.get(**asked).status_code for _ in range(count)]


def few(**more: Any) -> Settings:
    """A hundred at once and ten a second for a client; with a key 20 and 5."""
    limits: dict[str, Any] = {"requests_per_ip": 10, "burst_per_ip": 100}
    limits |= {"requests_per_key": 5, "burst_per_key": 20}
    return Settings(**limits | more)


def said(answer: TestResponse) -> Any:
    return json.loads(answer.data)["error"]


def test_a_client_over_its_limit_waits_as_told_and_is_served():
    site = Site(few(requests_per_key=0))
    passed = 100 - GUESS + 1
    assert set(site.statuses(passed)) == {200}
    refused = site.get()
    assert refused.status_code == 429
    assert set(json.loads(refused.data)) == {"error"}
    assert said(refused)["code"] == "rate_limited"
    assert "requests_per_ip is 10 a second" in said(refused)["message"]
    assert refused.headers["Retry-After"] == "1"
    assert refused.headers["RateLimit-Policy"] == '"requests_per_ip";q=100;w=10'
    assert refused.headers["RateLimit"] == '"requests_per_ip";r=0;t=1'
    assert site.get(ip="192.0.2.2").status_code == 200
    site.clock.now += int(refused.headers["Retry-After"])
    assert site.statuses(11) == [200] * 10 + [429]


def test_ordinary_answers_say_what_is_left():
    site = Site(few())
    headers = site.get(key=KEY).headers
    assert headers["RateLimit-Policy"] == (
        '"requests_per_ip";q=100;w=10, "requests_per_key";q=20;w=4'
    )
    assert headers["RateLimit"] == '"requests_per_ip";r=90, "requests_per_key";r=19'
    assert "Retry-After" not in headers
    assert site.get(key=KEY).headers["RateLimit"].endswith("r=18")


def test_a_key_over_its_limit_is_refused_everywhere_and_costs_no_client_anything():
    site = Site(few())
    passed = [site.get(key=KEY, ip=f"192.0.2.{n}").status_code for n in range(21)]
    assert passed == [200] * 20 + [429]
    refused = site.get(key=KEY, ip="192.0.2.99")
    assert "requests_per_key is 5 a second" in said(refused)["message"]
    assert (
        site.get(key=OTHER, ip="192.0.2.99")
        .headers["RateLimit"]
        .startswith('"requests_per_ip";r=90,')
    )
    site.clock.now += 1
    assert site.get(key=KEY, ip="192.0.2.99").status_code == 200


def test_guessing_is_slow_and_the_right_key_no_sign():
    site = Site(few())
    wrong = [site.get("/v1/metrics", key=f"guess {n}") for n in range(12)]
    assert [answer.status_code for answer in wrong] == [403] * 10 + [429] * 2
    assert site.get(key=KEY).status_code == 429
    site.clock.now += 0.5  # half of a guess: still nothing tells the right key from others
    assert [site.get(key=key).status_code for key in (KEY, "wrong", "")] == [429, 429, 429]
    site.clock.now += 0.5
    assert site.get("/v1/metrics", key="wrong").status_code == 403


@pytest.mark.parametrize(
    ("path", "method", "counted"),
    [
        ("/v1/config", "GET", True),
        ("/v1/config", "HEAD", True),
        ("/v1/nothing", "GET", True),
        ("/v1/config", "OPTIONS", False),
        ("/v1/openapi.json", "GET", False),
        ("/v1/live.schema.json", "GET", False),
        ("/healthz", "GET", False),
        ("/", "GET", False),
        ("/static/app.js", "GET", False),
    ],
)
def test_what_counts(path: str, method: str, counted: bool):
    site = Site(few())
    with site.get(path, method=method) as answer:
        assert ("RateLimit" in answer.headers) is counted
    assert bool(site.server.calls) is counted


def test_an_address_is_believed_of_trusted_proxies_only_and_stands_nowhere():
    site = Site(few())
    for ip in ("192.0.2.1", "2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"):
        site.get(ip=ip)
    names = list(site.server.levels)
    assert len(names) == 3
    assert not [name for name in names if "192" in name or "2001" in name or "db8" in name]
    distrusting = Site(few(trusted_proxies="10.0.0.0/8"))
    for n in range(5):
        distrusting.get(ip=f"192.0.2.{n}")
    assert len(distrusting.server.levels) == 1


def test_without_redis_each_process_counts_alone_and_as_much(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO, logger="serving.buckets")
    site = Site(few(requests_per_key=0))
    site.server.away = True
    before = value(SERVICE, "limits_local_total")
    assert site.statuses(92) == [200] * 91 + [429]
    assert len(site.server.calls) == 1
    assert value(SERVICE, "limits_local_total") - before == 92
    site.clock.now += PAUSE_S
    assert site.statuses(11) == [200] * 10 + [429]
    assert len(site.server.calls) == 2
    site.server.away = False
    site.clock.now += PAUSE_S
    assert site.get().status_code == 200
    said = [r.levelname for r in caplog.records if r.name == "serving.buckets"]
    assert said == ["WARNING", "INFO"]  # away, and back: once each


def test_no_limits_ask_nothing():
    site = Site(few(requests_per_ip=0, requests_per_key=0))
    assert set(site.statuses(300, key=KEY)) == {200}
    assert site.server.calls == []
    assert "RateLimit" not in site.get().headers


def test_refusals_are_counted_by_limit():
    site = Site(few())
    before = value(SERVICE, "limited_requests_total", limit="requests_per_key")
    site.statuses(23, key=KEY)
    assert value(SERVICE, "limited_requests_total", limit="requests_per_key") - before == 3


def stream(site: Site, ip: str = "192.0.2.1", key: str = KEY) -> TestResponse:
    return site.client.get(
        "/v1/live/sse",
        headers={"X-Forwarded-For": ip, "X-Read-Key": key},
        environ_overrides={"gunicorn.socket": None},
    )


@pytest.fixture
def site() -> Iterator[Site]:
    """Two connections for a client, three for a key."""
    made = Site(few(max_sockets_per_ip=2, max_sockets_per_key=3))
    yield made
    assert len(made.throttle.sockets_by_ip) == len(made.throttle.sockets_by_key) == 0


def test_streams_have_places_until_they_are_closed(site: Site):
    opened = [stream(site), stream(site)]
    assert [answer.status_code for answer in opened] == [200, 200]
    refused = stream(site)
    assert (refused.status_code, said(refused)["code"]) == (429, "too_many_connections")
    assert "max_sockets_per_ip is 2" in said(refused)["message"]
    opened.append(stream(site, ip="192.0.2.2"))
    refused = stream(site, ip="192.0.2.3")
    assert "max_sockets_per_key is 3" in said(refused)["message"]
    opened.append(stream(site, ip="192.0.2.3", key=OTHER))
    opened.pop(0).close()
    opened.append(stream(site))
    assert opened[-1].status_code == 200
    for answer in opened:
        answer.close()


def test_a_stream_that_is_refused_for_another_reason_gives_its_places_back(site: Site):
    for _ in range(5):
        assert stream(site, key="wrong").status_code == 403
        assert site.get("/v1/live/sse?since=never", key=KEY).status_code == 400
        site.get("/v1/live/sse", key=KEY, method="HEAD").close()


def test_what_a_socket_asks_later_counts_too(site: Site):
    headers = {"X-Forwarded-For": "192.0.2.1", "X-Read-Key": KEY}
    with site.app.test_request_context("/v1/live", headers=headers):
        site.app.preprocess_request()
        for _ in range(19):
            site.throttle.admit()
        with pytest.raises(RequestError, match="rate_limited"):
            site.throttle.admit()


def test_a_handshake_over_the_cap_is_refused_before_it_is_one(site: Site):
    handshake = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": "x3JJHMbDL1EzLkh9GBhXDw==",
        "Sec-WebSocket-Version": "13",
    }
    opened = [stream(site), stream(site)]
    answer = site.client.get(
        "/v1/live",
        headers={**handshake, "X-Forwarded-For": "192.0.2.1", "X-Read-Key": KEY},
        environ_overrides={"wsgi.url_scheme": "ws"},
    )
    assert (answer.status_code, said(answer)["code"]) == (429, "too_many_connections")
    for one in opened:
        one.close()


def test_a_ticket_is_counted_when_it_is_bought_and_again_when_it_is_no_good(site: Site):
    bought = site.client.post("/v1/tickets", headers={"X-Read-Key": KEY})
    ticket = json.loads(bought.data)["ticket"]
    asked = len(site.server.calls)
    good = site.client.get(f"/v1/live/sse?ticket={ticket}")
    assert good.status_code == 200
    assert len(site.server.calls) == asked
    good.close()
    for wrong in (ticket, "x", ticket[:-9] + ticket[-8:]):
        refused = site.client.get(f"/v1/live/sse?ticket={wrong}")
        assert said(refused)["code"] == "ticket_invalid"
        asked += 1
        assert len(site.server.calls) >= asked


def test_processes_share_what_a_server_counts():
    clock = Clock()
    server = CountingServer(clock)
    both = [Buckets(server, clock), Buckets(server, clock)]
    ask = [Ask(Limit("service", "requests_per_ip", 1, 10), "w", 1, 1)]
    granted = [both[n % 2].take(ask)[0].granted for n in range(12)]
    assert granted == [1] * 10 + [0] * 2


@pytest.mark.parametrize(
    "option",
    ["--requests_per_ip=-1", "--burst_per_ip=9", "--burst_per_key=0", "--max_sockets_per_ip=-1",
     "--trusted_proxies=x", "--requests_per_key=1000001"],
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused(option: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        Settings.parse([option])
    assert ended.value.code == 2
    assert "error:" in capsys.readouterr().err
