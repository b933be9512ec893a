"""What the collector refuses when it is too much."""

import asyncio
from typing import Any

import pytest

from serving.credentials import WriteKey, key_hash
from serving.ingest.leases import Leases
from serving.ingest.settings import Settings
from serving.projects import DEMO, Project, Projects
from telemetry.metrics import COLLECTOR
from tests.unit.serving.client import Client, event, events
from tests.unit.serving.counting import Clock
from tests.unit.telemetry.samples import value


def limited(**more: Any) -> tuple[Client, Clock]:
    """Ten requests at once and two a second for a client; 1,000 events and ten with a key."""
    clock = Clock()
    limits: dict[str, Any] = {"requests_per_ip": 2, "burst_per_ip": 10, "events_per_key": 10}
    settings = Settings(**{"linger_ms": 1, "burst_events_per_key": 1_000, **limits, **more})
    shop = Project(name="shop", write_keys=[WriteKey(hash=key_hash("shop-key"))])
    client = Client(settings, Projects([DEMO, shop]))
    client.app._limits._leases = Leases(clock=clock)
    return client, clock


def run(coroutine: Any) -> Any:
    return asyncio.run(asyncio.wait_for(coroutine, 20))


def test_a_client_over_its_limit_waits_as_told_and_is_served():
    async def story() -> None:
        client, clock = limited()
        assert {(await client.post(events(event()))).status for _ in range(10)} == {202}
        refused = await client.post(events(event()))
        assert (refused.status, refused.code) == (429, "rate_limited")
        assert "requests_per_ip is 2 a second" in refused.json["error"]["message"]
        assert refused.headers["retry-after"] == "1"
        assert refused.headers["ratelimit-policy"] == '"requests_per_ip";q=10;w=5'
        assert refused.headers["ratelimit"] == '"requests_per_ip";r=0;t=1'
        assert refused.headers["access-control-allow-origin"] == "*"
        exposed = refused.headers["access-control-expose-headers"]
        assert exposed == "Retry-After, RateLimit, RateLimit-Policy"
        other = await client.post(events(event()), headers={"X-Forwarded-For": "192.0.2.9"})
        assert other.status == 202
        clock.now += 1
        assert (await client.post(events(event()))).status == 202

    run(story())


def test_a_client_over_its_limit_is_refused_before_its_body_is_there():
    async def story() -> None:
        client, _ = limited(requests_per_ip=1, burst_per_ip=1)
        await client.post(events(event()))
        refused = await client.post([b"{", b""], stall=True)  # the rest never comes
        assert (refused.status, refused.code) == (429, "rate_limited")

    run(story())


def test_what_is_refused_for_another_reason_counts_too():
    async def story() -> None:
        client, _ = limited()
        for _ in range(10):
            wrong = await client.post(events(event()), headers={"X-Write-Key": "guess"})
            assert wrong.code == "write_key_unknown"
        assert (await client.post(events(event()))).code == "rate_limited"

    run(story())


def test_preflights_and_probes_are_free():
    async def story() -> None:
        client, _ = limited()
        for _ in range(30):
            assert (await client.request("OPTIONS")).status == 204
            assert (await client.request("GET", "/healthz")).status == 200
        assert (await client.post(events(event()))).status == 202

    run(story())


def test_a_key_over_its_limit_is_refused_with_all_its_clients_and_nobody_else():
    async def story() -> None:
        client, clock = limited(burst_per_ip=100)
        full = events(*[event()] * 500)
        assert {(await client.post(full)).status for _ in range(2)} == {202}
        for ip in ("192.0.2.1", "192.0.2.2"):
            refused = await client.post(events(*[event()] * 25), headers={"X-Forwarded-For": ip})
            assert (refused.status, refused.code) == (429, "rate_limited")
            assert "events_per_key is 10 a second" in refused.json["error"]["message"]
            assert refused.headers["retry-after"] == "3"
            assert refused.headers["ratelimit-policy"] == (
                '"events_per_key";q=1000;w=100;qu="events"'
            )
        assert len(client.broker.rows()) == 1_000
        other = await client.post(events(event()), headers={"X-Write-Key": "shop-key"})
        assert other.status == 202
        clock.now += 3
        assert (await client.post(events(*[event()] * 25))).status == 202

    run(story())


def test_a_key_is_one_however_it_is_sent():
    async def story() -> None:
        client, _ = limited()
        await client.post(events(*[event()] * 1_000))
        in_url = await client.post(
            events(event()), headers={"X-Write-Key": ""}, query="key=demo-write-key"
        )
        assert in_url.code == "rate_limited"

    run(story())


def test_a_repeat_is_refused_as_the_first_and_taken_when_it_would_be():
    async def story() -> None:
        client, clock = limited(burst_per_ip=100)
        body = events(*[event()] * 600, batch_id="one")
        assert (await client.post(body)).status == 202
        new = await client.post(events(*[event()] * 600, batch_id="two"))
        repeat = await client.post(body)
        assert (new.status, new.body, new.headers) == (429, repeat.body, repeat.headers)
        clock.now += int(repeat.headers["retry-after"])
        assert (await client.post(body)).json["accepted"] == 600
        assert len(client.broker.rows()) == 600

    run(story())


def test_no_limits_and_the_metrics_of_some():
    async def story() -> None:
        client, _ = limited(requests_per_ip=0, events_per_key=0)
        assert {(await client.post(events(event()))).status for _ in range(50)} == {202}
        client, _ = limited()
        before = value(COLLECTOR, "limited_requests_total", limit="requests_per_ip")
        for _ in range(13):
            await client.post(events(event()))
        after = value(COLLECTOR, "limited_requests_total", limit="requests_per_ip")
        assert after - before == 3

    run(story())


@pytest.mark.parametrize(
    "option", ["--requests_per_ip=-1", "--burst_per_ip=0", "--burst_events_per_key=999"]
)
def test_settings_that_make_no_sense_are_refused(option: str):
    with pytest.raises(SystemExit):
        Settings.parse([option, "--events_per_key=1"])
