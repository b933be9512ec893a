"""What the collector takes, and what it refuses."""

import asyncio
import gzip
import json
import resource
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events import limits
from events.reasons import EVENT_REASONS, REQUEST_ERRORS
from serving.ingest.settings import Settings
from tests.unit.serving.client import KEY, NOW, Client, event, events

BAD = {
    "not an object": (7, "event_malformed"),
    "no type": (event(type=None), "event_field_missing"),
    "no user": (event(user_id=None), "event_field_missing"),
    "empty user": (event(user_id=""), "event_field_invalid"),
    "type with a line end": (event(type="page_view\n"), "event_field_invalid"),
    "long url": (event(url="x" * (limits.MAX_URL_CHARS + 1)), "event_field_invalid"),
    "no time": (event(ts=0), "event_ts_invalid"),
    "time as text": (event(ts="now"), "event_ts_invalid"),
    "too large": (event(props={"a": "x" * limits.MAX_EVENT_BYTES}), "event_too_large"),
    "nested props": (event(props={"a": {"b": 1}}), "event_props_invalid"),
    "amount alone": (event(amount="1"), "amount_incomplete"),
    "currency alone": (event(currency="USD"), "amount_incomplete"),
    "seven decimals": (event(amount="0.0000001", currency="USD"), "amount_invalid"),
    "many decimals": (event(amount="1." + "0" * 40 + "1", currency="USD"), "amount_invalid"),
    "huge amount": (event(amount="1e12", currency="USD"), "amount_invalid"),
    "amount NaN": (event(amount="NaN", currency="USD"), "amount_invalid"),
    "no rate": (event(type="purchase", amount="1", currency="JPY"), "currency_unsupported"),
    "huge when converted": (
        event(type="purchase", amount="1000000000", currency="GBP"),
        "amount_invalid",
    ),
}


def run(coroutine: Any) -> Any:
    return asyncio.run(asyncio.wait_for(coroutine, 20))


def post(payload: Any, client: Any = None, **options: Any) -> Any:
    return run((client or Client()).post(payload, **options))


def test_an_event_is_taken_when_the_broker_has_it():
    client = Client()
    answer = post(events(event()), client)
    assert (answer.status, answer.json) == (202, {"accepted": 1, "rejected": []})
    (message,) = client.broker.messages
    assert dict(message.headers) == {
        "content-type": b"application/vnd.apache.arrow.stream",
        "project": b"demo",
        "count": b"1",
        "schema": b"1",
    }
    assert (client.app.budget.events, client.app.budget.bytes) == (0, 0)


def test_every_column_is_filled():
    client = Client(peer="203.0.113.7")
    sent = event(
        id="01890000-0000-7000-8000-000000000001",
        type="purchase",
        session_id="s1",
        url="/shoes",
        category="shoes",
        amount="10.50",
        currency="EUR",
        props={"items": 2},
    )
    phone = "Mozilla/5.0 (Linux; Android 14; Pixel 8) Chrome/131.0.0.0 Mobile Safari/537.36"
    post(events(sent), client, headers={"User-Agent": phone})
    (row,) = client.broker.rows()
    received_at, user_hash, key = (row.pop(k) for k in ("received_at", "user_hash", "dedup_key"))
    assert received_at > NOW
    assert user_hash > 0
    assert key > 0
    assert key % 2 == 0
    assert row == {
        "event_time": NOW,
        "client_time": NOW,
        "event_id": bytes.fromhex("01890000000070008000000000000001"),
        "type": "purchase",
        "user_id": "u1",
        "session_id": "s1",
        "url": "/shoes",
        "category": "shoes",
        "country": "ZZ",
        "device": "mobile",
        "bot": False,
        "revenue_micros": 11_340_000,
        "amount_micros": 10_500_000,
        "currency": "EUR",
        "props": '{"items":2}',
    }


def test_what_is_left_out_has_its_default():
    client = Client()
    post(events(event()), client, headers={"User-Agent": ""})
    (row,) = client.broker.rows()
    assert row["event_id"][6] >> 4 == 7  # UUID version 7
    assert (row["dedup_key"], row["category"], row["revenue_micros"]) == (0, "", 0)
    assert (row["device"], row["bot"]) == ("bot", True)
    assert all(row[k] is None for k in ("session_id", "url", "amount_micros", "currency", "props"))


def test_only_purchases_make_revenue():
    client = Client()
    post(events(event(amount="3", currency="USD")), client)
    (row,) = client.broker.rows()
    assert (row["amount_micros"], row["revenue_micros"]) == (3_000_000, 0)


def test_rows_of_one_request_and_partition_stand_together_in_one_message():
    client = Client()
    users = [f"u{n}" for n in range(50)]
    post(events(*(event(user_id=u) for u in users * 4)), client)
    assert len(client.broker.messages) == len({m.partition for m in client.broker.messages}) == 4
    assert len(client.broker.rows()) == 200


def test_a_user_stays_in_one_partition():
    client = Client()
    for _ in range(5):
        post(events(event(user_id="same")), client)
    assert len({m.partition for m in client.broker.messages}) == 1


def test_the_message_time_is_the_earliest_event_time():
    client = Client()
    post(events(event(ts=NOW), event(ts=NOW - 5_000), event(ts=NOW - 1)), client)
    assert client.broker.messages[0].timestamp_ms == NOW - 5_000


@pytest.mark.parametrize(("bad", "code"), BAD.values(), ids=BAD.keys())
def test_a_bad_event_does_not_cost_its_neighbours(bad, code):
    client = Client()
    answer = post(events(event(user_id="left"), bad, event(user_id="right")), client)
    assert answer.status == 202
    assert answer.json["accepted"] == 2
    assert [(r["index"], r["code"]) for r in answer.json["rejected"]] == [(1, code)]
    assert {row["user_id"] for row in client.broker.rows()} == {"left", "right"}


def test_all_refused_is_still_an_answer():
    answer = post(events(7, 8))
    assert answer.status == 202
    assert answer.json["accepted"] == 0
    assert len(answer.json["rejected"]) == 2


VALID = st.builds(
    lambda user, kind, ts: event(user_id=user, type=kind, ts=ts),
    st.text(min_size=1, max_size=20).filter(lambda s: s.isprintable()),
    st.sampled_from(["page_view", "click", "custom.thing"]),
    st.integers(limits.MIN_TS_MS, limits.MAX_TS_MS),
)
INVALID = st.sampled_from([bad for bad, _ in BAD.values()]) | st.none() | st.booleans()


@given(st.lists(VALID.map(lambda e: (e, True)) | INVALID.map(lambda e: (e, False)), min_size=1))
def test_accepted_and_rejected_are_exactly_the_sent(items):
    client = Client(settings=Settings(linger_ms=0))
    answer = post(events(*(item for item, _ in items)), client)
    if len(json.dumps(items)) > limits.MAX_BODY_BYTES:
        return
    rejected = [r["index"] for r in answer.json["rejected"]]
    assert answer.json["accepted"] + len(rejected) == len(items)
    assert rejected == [index for index, (_, valid) in enumerate(items) if not valid]
    assert all(r["code"] in EVENT_REASONS for r in answer.json["rejected"])
    assert len(client.broker.rows()) == answer.json["accepted"]


REFUSED = {
    "no key": ({"headers": {"X-Write-Key": ""}}, events(event()), "write_key_missing"),
    "wrong key": ({"headers": {"X-Write-Key": "x"}}, events(event()), "write_key_unknown"),
    "read key": ({"headers": {"X-Write-Key": "demo-read-key"}}, {}, "write_key_unknown"),
    "no content type": ({"headers": {"Content-Type": ""}}, {}, "content_type_unsupported"),
    "a form": (
        {"headers": {"Content-Type": "application/x-www-form-urlencoded"}},
        {},
        "content_type_unsupported",
    ),
    "brotli": ({"headers": {"Content-Encoding": "br"}}, {}, "content_encoding_unsupported"),
    "no JSON": ({}, b"{", "body_malformed"),
    "empty": ({}, b"", "body_malformed"),
    "no UTF-8": ({}, b'{"events": [], "batch_id": "\xff"}', "body_malformed"),
    "a list": ({}, [b"[]"], "body_malformed"),
    "deep": ({}, b'{"x":' + b"[" * 100_000, "body_malformed"),
    "bad batch id": ({}, events(event(), batch_id=""), "body_malformed"),
    "no events": ({}, {}, "events_missing"),
    "empty events": ({}, events(), "events_missing"),
    "too many": ({}, events(*[1] * (limits.MAX_EVENTS_PER_REQUEST + 1)), "events_too_many"),
    "too large": ({}, b" " * (limits.MAX_BODY_BYTES + 1), "body_too_large"),
    "too large in pieces": ({}, [b" " * 400_000] * 3, "body_too_large"),
    "said to be too large": (
        {"headers": {"Content-Length": str(10**30)}},
        b"",
        "body_too_large",
    ),
    "no gzip": ({"headers": {"Content-Encoding": "gzip"}}, b"{}", "gzip_malformed"),
    "truncated gzip": (
        {"headers": {"Content-Encoding": "gzip"}},
        gzip.compress(b'{"events": []}' * 9)[:-9],
        "gzip_malformed",
    ),
    "two gzip members": (
        {"headers": {"Content-Encoding": "gzip"}},
        gzip.compress(b"{}") * 2,
        "gzip_malformed",
    ),
}


@pytest.mark.parametrize(("options", "body", "code"), REFUSED.values(), ids=REFUSED.keys())
def test_a_bad_request_is_refused(options, body, code):
    client = Client()
    answer = post(body, client, **options)
    assert (answer.code, answer.status) == (code, REQUEST_ERRORS[code].status)
    assert answer.headers["access-control-allow-origin"] == "*"
    assert client.broker.messages == []
    assert (client.app.budget.events, client.app.budget.bytes) == (0, 0)


def bomb(size: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = [packer.compress(bytes(1_000_000)) for _ in range(size // 1_000_000)]
    return b"".join([*packed, packer.flush()])


def test_a_gzip_bomb_costs_nothing():
    body = bomb(500_000_000)
    assert len(body) < limits.MAX_BODY_BYTES
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answer = post(body, headers={"Content-Encoding": "gzip"})
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert answer.code == "body_too_large"
    assert grown_kib < 20_000


def test_gzip_is_taken():
    body = gzip.compress(json.dumps(events(event())).encode())
    assert post(body, headers={"Content-Encoding": "GZIP"}).json["accepted"] == 1


def test_what_a_beacon_can_send_is_taken():
    client = Client()
    body = json.dumps(events(event())).encode()
    headers = {"Content-Type": "text/plain; charset=UTF-8"}
    answer = run(client.request(body=body, headers=headers, query=f"v=1&key={KEY}"))
    assert answer.json["accepted"] == 1


def test_a_body_in_pieces_is_taken():
    body = json.dumps(events(event())).encode()
    assert post([body[:9], body[9:20], b"", body[20:]]).json["accepted"] == 1


def test_a_body_that_does_not_come_is_given_up():
    client = Client(settings=Settings(body_timeout_ms=20))
    answer = post([b'{"ev'], client, stall=True)
    assert answer.code == "body_incomplete"
    assert answer.headers["connection"] == "close"
    assert client.app.budget.bytes == 0


def test_a_client_that_left_gets_no_answer():
    client = Client()
    assert post([b'{"ev'], client, gone=True).status == 0
    assert client.app.budget.bytes == 0


def test_preflight():
    answer = run(Client().request("OPTIONS"))
    assert answer.status == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "X-Write-Key" in answer.headers["access-control-allow-headers"]
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/v1/events", "method_not_allowed"),
        ("POST", "/healthz", "method_not_allowed"),
        ("GE", "/healthz", "method_not_allowed"),
        ("GET", "/", "not_found"),
        ("POST", "/v1/events/", "not_found"),
    ],
)
def test_other_addresses_and_methods(method, path, code):
    answer = run(Client().request(method, path))
    assert (answer.code, answer.status) == (code, REQUEST_ERRORS[code].status)
    assert ("allow" in answer.headers) == (code == "method_not_allowed")


def test_a_fault_of_ours_is_an_envelope_too(monkeypatch):
    client = Client()
    monkeypatch.setattr(client.app._intake, "take", None)
    assert post(events(event()), client).code == "internal_error"


def test_health():
    client = Client()
    assert run(client.request("GET", "/healthz")).json == {"status": "ok"}
    assert run(client.request("GET", "/readyz")).status == 200


def test_ready_without_redis_but_not_without_a_broker():
    client = Client()
    client.memory.away = True
    answer = run(client.request("GET", "/readyz"))
    assert (answer.status, answer.json["redis"]) == (200, False)
    client = Client()
    client.broker.down = True
    assert run(client.request("GET", "/readyz")).status == 503
