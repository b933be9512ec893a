"""What the collector counts: requests and events, by what became of them."""

import asyncio

from serving.ingest.settings import Settings
from telemetry.metrics import COLLECTOR
from tests.unit.serving.client import Client, event, events
from tests.unit.telemetry.samples import value

NAMES = ("events_received_total", "events_accepted_total")


def counted() -> dict[str, float]:
    """Every sample of the collector's."""
    return {
        f"{sample.name}{sorted(sample.labels.values())}": sample.value
        for family in COLLECTOR.registry.collect()
        for sample in family.samples
        if sample.name.startswith("streamlens") and "_seconds_" not in sample.name
    }


def moved(before: dict[str, float]) -> dict[str, float]:
    """What has changed, and by how much."""
    now = counted()
    return {
        name.removeprefix("streamlens_collector_"): now[name] - before.get(name, 0.0)
        for name in now
        if now[name] != before.get(name, 0.0)
    }


def test_events_by_what_became_of_them() -> None:
    client = Client()
    before = counted()
    body = events(event(), event(ts=1), event(amount=5), event(), event(ts=None))
    assert asyncio.run(client.post(body)).status == 202
    changes = moved(before)
    assert changes.pop("body_bytes_total[]") > 100
    assert changes == {
        "requests_total['/v1/events', '202']": 1.0,
        "events_received_total[]": 5.0,
        "events_accepted_total[]": 2.0,
        "events_rejected_total['event_ts_invalid']": 1.0,
        "events_rejected_total['amount_incomplete']": 1.0,
        "events_rejected_total['event_field_missing']": 1.0,
    }


def test_refusals_by_code_and_paths_never() -> None:
    client = Client()

    async def ask() -> None:
        await client.post(b"{")
        await client.post(events(event()), headers={"X-Write-Key": "wrong"})
        await client.request("GET", "/secret/path")
        await client.request(
            "POST",
            "/v1/events",
            gone=True,
            headers={"X-Write-Key": "demo-write-key", "Content-Type": "application/json"},
        )

    before = counted()
    asyncio.run(ask())
    changes = moved(before)
    del changes["body_bytes_total[]"]
    assert changes == {
        "requests_total['/v1/events', '400']": 1.0,
        "requests_total['/v1/events', '403']": 1.0,
        "requests_total['404', 'other']": 1.0,
        "refused_requests_total['body_malformed']": 1.0,
        "refused_requests_total['write_key_unknown']": 1.0,
        "refused_requests_total['not_found']": 1.0,
        "abandoned_requests_total[]": 1.0,
    }


def test_a_repeated_batch_is_answered_from_memory() -> None:
    client = Client()
    body = events(event(), batch_id="018bcfe5-6800-7000-8000-000000000001")

    async def twice() -> None:
        await client.post(body)
        await client.post(body)

    before = counted()
    asyncio.run(twice())
    changes = moved(before)
    assert changes["repeated_batches_total['memory']"] == 1
    assert changes["events_received_total[]"] == 2
    assert changes["events_accepted_total[]"] == 1


def test_what_is_held_and_its_limits() -> None:
    client = Client(settings=Settings(linger_ms=1, max_buffered_events=50))
    client.broker.hold = True

    async def wait() -> tuple[float, float]:
        sent = asyncio.create_task(client.post(events(event(), event())))
        while not client.broker.held:
            await asyncio.sleep(0.001)
        during = value(COLLECTOR, "held_events")
        client.broker.release()
        await sent
        return during, value(COLLECTOR, "held_events")

    assert asyncio.run(wait()) == (2, 0)
    assert value(COLLECTOR, "max_held_events") == 50


def test_without_redis_it_is_degraded_and_ready() -> None:
    client = Client()
    assert asyncio.run(client.request("GET", "/readyz")).json["status"] == "ready"
    client = Client()
    client.memory.away = True
    answer = asyncio.run(client.request("GET", "/readyz"))
    assert (answer.status, answer.json["status"]) == (200, "degraded")
