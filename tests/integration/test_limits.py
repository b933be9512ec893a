"""Limits on a real Valkey: the script is the model, and processes share one bucket."""

import asyncio
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import redis
import websocket
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.children import PythonChild, answers_ready
from deploy.ports import HOST, free_port
from deploy.services import ValkeyServer
from serving.buckets import Buckets
from serving.ingest.connect import open_redis
from serving.ingest.leases import SLICE_S, Leases
from serving.ingest.link import Link
from serving.limits import MICRO, SCRIPT, Ask, Level, Limit, answers, arguments, take

pytestmark = pytest.mark.integration

KEY = "demo-read-key"
LIMITS = st.tuples(st.integers(1, 10**6) | st.integers(1, 20), st.integers(1, 10**8))
AMOUNTS = st.integers(1, 10**8) | st.integers(1, 30)
BUCKETS = st.lists(LIMITS, min_size=2, max_size=4)
CALLS = st.lists(
    st.tuples(
        st.integers(0, 10**10) | st.integers(0, 10**6),  # microseconds since the one before
        st.integers(1, 2),  # buckets of a group
        st.lists(st.tuples(AMOUNTS, AMOUNTS), min_size=4, max_size=4),  # least and most
    ),
    min_size=1,
    max_size=8,
)


def age(client: redis.Redis, asks: list[Ask], micros: int) -> None:
    """Let time pass: what Redis holds was written so much earlier."""
    for ask in asks:
        kept: Any = client.get(ask.bucket)
        if kept is not None:
            micro, at = kept.split()
            client.set(ask.bucket, b"%s %d" % (micro, int(at) - micros), keepttl=True)


@settings(max_examples=150)
@given(BUCKETS, CALLS)
def test_the_script_is_the_model(valkey: ValkeyServer, buckets: Any, calls: Any) -> None:
    with redis.Redis.from_url(valkey.address) as client:
        client.flushall()
        rules = [Limit("test", str(i), rate, burst) for i, (rate, burst) in enumerate(buckets)]
        levels: list[Level | None] = [None] * len(rules)
        for pause, size, amounts in calls:
            asks = [Ask(rule, "w", *amounts[i]) for i, rule in enumerate(rules)]
            age(client, asks, pause)
            asks = asks[: len(asks) // size * size]
            levels = [level and Level(level.micro, level.at - pause) for level in levels]
            said: Any = client.eval(SCRIPT, *arguments(asks, size))
            for first in range(0, len(asks), size):
                group = slice(first, first + size)
                taken, levels[group] = take(asks[group], levels[group], said[0])
                assert answers(said)[group] == taken
            assert abs(said[0] / MICRO - time.time()) < 60


def test_a_bucket_vanishes_when_it_is_full_and_a_refusal_writes_nothing(
    client: redis.Redis,
) -> None:
    rule = Limit("test", "s", 10, 20)
    buckets = Buckets(client)
    ask = Ask(rule, "w", 15, 15)
    assert buckets.take([ask])[0].granted == 15
    kept: Any = client.get(ask.bucket)
    left: Any = client.pttl(ask.bucket)
    assert 1_500 < left <= 2_500
    refused = buckets.take([ask, Ask(rule, "other", 1, 1)])
    assert [one.granted for one in refused] == [0, 0]
    assert client.get(ask.bucket) == kept
    assert client.keys("sl:limit:*") == [ask.bucket.encode()]


def test_two_clients_share_a_bucket_and_waiting_helps(valkey: ValkeyServer) -> None:
    rule = Limit("test", f"s{time.time_ns()}", 20, 30)
    with (
        redis.Redis.from_url(valkey.address) as one,
        redis.Redis.from_url(valkey.address) as other,
    ):
        both = [Buckets(one), Buckets(other)]
        began = time.monotonic()
        granted = [both[n % 2].take([Ask(rule, "w", 1, 1)])[0].granted for n in range(60)]
        took = time.monotonic() - began
        assert 30 <= sum(granted) <= 30 + 20 * took + 1
        while both[0].take([Ask(rule, "w", 1, 1)])[0].granted:
            pass
        refused = both[1].take([Ask(rule, "w", 5, 5)])[0]
        assert refused.granted == 0
        time.sleep(refused.wait / MICRO + 0.005)  # what is tested is the time
        assert both[0].take([Ask(rule, "w", 5, 5)])[0].granted == 5


def test_two_collectors_share_a_bucket(valkey: ValkeyServer) -> None:
    rule = Limit("test", f"s{time.time_ns()}", 40, 200)

    async def story() -> tuple[int, float]:
        both = []
        for _ in range(2):
            client, timeout = open_redis(valkey.address, 2_000, 1)
            both.append(Leases(client, Link(timeout)))
        began = time.monotonic()
        waits = [await both[n % 2].take(rule, "w", 1) for n in range(600)]
        took = time.monotonic() - began
        for leases in both:
            await leases.stop()
        return waits.count(0), took

    passed, took = asyncio.run(story())
    slices = 2 * int(rule.rate * SLICE_S)
    assert 200 - slices <= passed <= 200 + rule.rate * took + slices


class Service(NamedTuple):
    """A service, its clients coming through a proxy."""

    port: int

    def ask(self, path: str = "/v1/config", ip: str = "192.0.2.1", key: str = "") -> Any:
        """Status, headers, JSON."""
        headers = {"X-Forwarded-For": ip} | ({"X-Read-Key": key} if key else {})
        request = urllib.request.Request(f"http://{HOST}:{self.port}{path}", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.headers, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, json.load(error)

    def open(self, ip: str, key: str = KEY) -> websocket.WebSocket:
        """A WebSocket."""
        header = {"X-Forwarded-For": ip, "X-Read-Key": key}
        address = f"ws://{HOST}:{self.port}/v1/live"
        return websocket.create_connection(address, timeout=20, suppress_origin=True, header=header)


OPTIONS = ["--requests_per_ip=5", "--burst_per_ip=40", "--requests_per_key=5"]
OPTIONS += ["--burst_per_key=30", "--max_sockets_per_ip=2", "--max_sockets_per_key=3"]


def program(name: str, folder: Path, url: str) -> tuple[Service, PythonChild]:
    port = free_port()
    arguments = ["serving.app", f"--port={port}", f"--redis_url={url}", "--metrics_port=0"]
    child = PythonChild(
        name,
        [*arguments, *OPTIONS],
        answers_ready(port, "/healthz"),
        log_path=folder / f"{name}.log",
        environment={},
        ready_within=120,
    )
    return Service(port), child


@pytest.fixture(scope="module")
def pair(
    valkey: ValkeyServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Service, Service]]:
    folder = tmp_path_factory.mktemp("limited")
    one, first = program("one", folder, valkey.address)
    other, second = program("other", folder, valkey.address)
    with first, second:
        yield one, other


def exhaust(services: tuple[Service, ...], **asked: Any) -> tuple[int, Any]:
    """Ask in turns until one refuses: how many were served, and the refusal."""
    for served in range(500):
        answer = services[served % len(services)].ask(**asked)
        if answer[0] == 429:
            return served, answer
        assert answer[0] == 200
    raise AssertionError("never refused")


@pytest.mark.usefixtures("client")
def test_two_services_refuse_together_and_serve_after_the_wait(
    pair: tuple[Service, Service],
) -> None:
    began = time.monotonic()
    served, (_, headers, body) = exhaust(pair)
    least = 40 - 9  # so many stay for the price of a guess
    assert least <= served <= least + 5 * (time.monotonic() - began) + 1
    assert body["error"]["code"] == "rate_limited"
    assert "requests_per_ip is 5 a second" in body["error"]["message"]
    assert headers["Retry-After"] == "1"
    assert headers["RateLimit"] == '"requests_per_ip";r=0;t=1'
    assert pair[0].ask(ip="192.0.2.2")[0] == 200
    time.sleep(int(headers["Retry-After"]))
    assert pair[1].ask()[0] == 200


@pytest.mark.usefixtures("client")
def test_a_key_is_limited_over_all_its_clients(pair: tuple[Service, Service]) -> None:
    statuses = [pair[n % 2].ask(ip=f"192.0.2.{n}", key=KEY)[0] for n in range(60)]
    assert statuses[:30] == [200] * 30
    assert 429 in statuses
    assert pair[0].ask(ip="192.0.2.200")[0] == 200


def refused(service: Service, ip: str) -> tuple[int, Any]:
    """What a handshake is answered with."""
    with pytest.raises(websocket.WebSocketBadStatusException) as found:
        service.open(ip).close()
    return found.value.status_code, json.loads(found.value.resp_body or b"")["error"]


@pytest.mark.usefixtures("client")
def test_sockets_over_the_cap_are_refused_before_the_handshake(
    pair: tuple[Service, Service],
) -> None:
    service = pair[0]
    held = [service.open("198.51.100.1") for _ in range(2)]
    status, error = refused(service, "198.51.100.1")
    assert (status, error["code"]) == (429, "too_many_connections")
    assert "max_sockets_per_ip is 2" in error["message"]
    held.append(service.open("198.51.100.2"))
    status, error = refused(service, "198.51.100.3")
    assert (status, error["code"]) == (429, "too_many_connections")
    assert "max_sockets_per_key is 3" in error["message"]
    subscribe = json.dumps({"type": "subscribe"})
    for one in held:
        one.send(subscribe)
        assert json.loads(one.recv())["type"] == "snapshot"
    held.pop(0).close()
    deadline = time.monotonic() + 20
    while True:  # the service has to see that it is closed
        try:
            held.append(service.open("198.51.100.1"))
            break
        except websocket.WebSocketBadStatusException:
            assert time.monotonic() < deadline
            time.sleep(0.3)
    held[-1].send(subscribe)
    assert json.loads(held[-1].recv())["type"] == "snapshot"
    for one in held:
        one.close()


@pytest.mark.usefixtures("client")
def test_a_guess_over_a_socket_costs_as_much_as_one_over_http(
    pair: tuple[Service, Service],
) -> None:
    codes = []
    for n in range(5):
        with pytest.raises(websocket.WebSocketBadStatusException) as found:
            pair[0].open("198.51.100.9", f"guess {n}")
        codes.append(json.loads(found.value.resp_body or b"")["error"]["code"])
    assert codes[:2] == ["read_key_unknown"] * 2
    assert codes[-1] == "rate_limited"


def test_without_redis_it_is_served_and_bounded(tmp_path: Path) -> None:
    service, child = program("alone", tmp_path, f"redis://{HOST}:{free_port()}/0")
    with child:
        began = time.monotonic()
        served, (_, headers, body) = exhaust((service,))
        assert 31 <= served <= 31 + 5 * (time.monotonic() - began) + 1
        assert body["error"]["code"] == "rate_limited"
        time.sleep(int(headers["Retry-After"]))
        assert service.ask()[0] == 200
    log = (tmp_path / "alone.log").read_text()
    assert log.count("limits: Redis is away") == 1
    assert "192.0.2.1" not in log
