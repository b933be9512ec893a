"""Rendered requests: valid for the collector, with the time put in, worth what they say."""

import json
import uuid

import pytest

from benchmarks.bodies import PROBE, bodies, probe
from benchmarks.dataset import SHAPES
from events import limits, schema
from events.agent import classify

NOW = 1_750_000_000_000
ID = uuid.UUID(int=7, version=4)


@pytest.mark.parametrize("per_request", [1, 10, limits.MAX_EVENTS_PER_REQUEST])
def test_a_request_is_what_the_collector_takes(per_request: int):
    body, other = bodies(SHAPES[50], 2, per_request)
    text = body.render(ID, NOW)
    assert len(text) <= limits.MAX_BODY_BYTES
    request = schema.decode_request(text)
    assert (request.batch_id, request.sent_at) == (str(ID), NOW)
    events = [schema.decode_event(raw) for raw in request.events]
    assert len(events) == body.events == per_request
    assert {event.ts for event in events} == {NOW}
    money = [e.amount for e in events if e.type == "purchase" and e.amount is not None]
    assert sum(schema.micros(amount) for amount in money) == body.micros
    assert {e.currency for e in events if e.amount is not None} <= {"USD"}
    assert text != other.render(ID, NOW)


def test_a_time_in_a_user_or_id_stays():  # the pieces are cut at the placeholder only
    body = bodies(SHAPES[50], 1, 100)[0]
    early, late = (json.loads(body.render(ID, ms))["events"] for ms in (NOW, NOW + 1))
    for one, other in zip(early, late, strict=True):
        assert other == {**one, "ts": NOW + 1}


def test_a_seed_gives_the_same_requests_and_their_senders_are_people():
    first, again = (bodies(SHAPES[50], 5, 20, seed=3) for _ in range(2))
    assert first == again != bodies(SHAPES[50], 5, 20, seed=4)
    for body in first:
        agent, address = body.headers.decode().splitlines()
        assert not classify(agent.removeprefix("User-Agent: ")).bot
        assert address.startswith("X-Forwarded-For: ")


def test_a_probe_is_one_event_of_its_own_category():
    request = schema.decode_request(probe().render(ID, NOW))
    (event,) = (schema.decode_event(raw) for raw in request.events)
    assert (event.category, event.ts, event.amount) == (PROBE, NOW, None)
