"""The service as `make run` starts it, over a real Valkey: queries, live push, and its limits."""

import json
import socket
import struct
import time
import urllib.error
import urllib.request
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from email.message import Message
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis
import websocket

from deploy.children import PythonChild, answers_ready
from deploy.ports import HOST, free_port
from deploy.services import ValkeyServer
from events import sketch
from serving.gate import RETURN_SECONDS
from stores import recent
from stores.hot import HotStore
from stores.pane import ACTIVE, FINAL, MEASURES, MINUTE, PARTIAL, PULSE, Grouping, Pane
from stores.recent import Entry
from tests.integration.waiting import wait_for

pytestmark = pytest.mark.integration

KEY = "demo-read-key"
REFRESH = 0.4
LEAVING = {"type": "announce", "reason": "leaving", "reconnect_within_seconds": 2}


class Service:
    """The running service."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.address = f"http://{HOST}:{port}"

    def ask(
        self, path: str, key: str | None = KEY, method: str = "GET"
    ) -> tuple[int, Message, bytes]:
        """Status, headers and body."""
        headers = {} if key is None else {"X-Read-Key": key}
        request = urllib.request.Request(self.address + path, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, error.read()

    def get(self, path: str, key: str | None = KEY) -> tuple[int, Any]:
        """Status and JSON."""
        status, _, body = self.ask(path, key)
        return status, json.loads(body)

    def refusal(self, path: str, key: str | None = KEY, method: str = "GET") -> tuple[int, str]:
        """Status and code of the envelope, which has nothing else in it."""
        status, _, body = self.ask(path, key, method)
        envelope = json.loads(body)
        assert set(envelope) == {"error"}
        assert set(envelope["error"]) == {"code", "message"}
        return status, envelope["error"]["code"]

    def socket(self, **options: Any) -> websocket.WebSocket:
        """An open WebSocket, without an Origin as non-browsers have none."""
        options = {"suppress_origin": True, "header": {"X-Read-Key": KEY}, **options}
        address = f"ws://{HOST}:{self.port}/v1/live"
        return websocket.create_connection(address, timeout=10, **options)

    def live(self, filters: dict[str, str] | None = None, **more: Any) -> websocket.WebSocket:
        """A subscribed one."""
        opened = self.socket()
        wish = {"type": "subscribe", "filter": filters or {}, **more}
        opened.send(json.dumps(wish))
        return opened


@pytest.fixture(scope="module")
def service(valkey: ValkeyServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    port = free_port()
    arguments = ["serving.app", "--port", str(port), "--redis_url", valkey.address]
    arguments += ["--refresh_seconds", str(REFRESH), "--allowed_origins", "https://shop.example"]
    log = tmp_path_factory.mktemp("service") / "service.log"
    with PythonChild(
        "service",
        arguments,
        answers_ready(port),
        log_path=Path(log),
        environment={},
        ready_within=60,
    ):
        yield Service(port)


@pytest.fixture(autouse=True)
def _alone(request: pytest.FixtureRequest) -> Iterator[None]:
    """No feed is left that a test's socket could get the numbers of the test before from."""
    yield
    if "client" in request.fixturenames:
        time.sleep(2 * REFRESH)


@pytest.fixture(scope="module")
def stranded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service whose store is not there."""
    port = free_port()
    nobody = f"redis://{HOST}:{free_port()}/0"
    log = tmp_path_factory.mktemp("stranded") / "service.log"
    with PythonChild(
        "stranded",
        ["serving.app", "--port", str(port), "--redis_url", nobody, "--refresh_seconds", "0.4"],
        answers_ready(port, "/healthz"),  # it can never be ready
        log_path=Path(log),
        environment={},
        ready_within=60,
    ):
        yield Service(port)


@contextmanager
def own_service(valkey: ValkeyServer, log: Path) -> Iterator[tuple[Service, PythonChild]]:
    """A service that a test may stop."""
    port = free_port()
    arguments = ["serving.app", "--port", str(port), "--redis_url", valkey.address]
    child = PythonChild(
        "service", arguments, answers_ready(port), log_path=log, environment={}, ready_within=60
    )
    with child:
        yield Service(port), child


def pane(
    start: int,
    series: dict[tuple[str, ...], int],
    *,
    grouping: Grouping = (),
    width: int = MINUTE,
    status: int = PARTIAL,
    users: tuple[str, ...] = (),
) -> Pane:
    measures = np.zeros((len(series), len(MEASURES)), np.int64)
    measures[:, 0] = measures[:, 1] = list(series.values())
    measures[:, 6] = measures[:, 0] * 1_500_000
    hashes = np.array([sketch.user_hash(user) for user in users], np.uint64)
    return Pane(
        "demo", grouping, start, width, status, list(series), measures, sketch.from_hashes(hashes)
    )


def minute() -> int:
    return int(time.time()) // 60 * 60


def message(opened: websocket.WebSocket) -> dict[str, Any]:
    """The next one, but for what a busy machine makes the service announce."""
    while True:
        received: dict[str, Any] = json.loads(opened.recv())
        if received["type"] != "announce" or received["reason"] == "leaving":
            return received


def closing(opened: Any) -> int:
    """The code of the close frame that comes, whatever comes before it."""
    while True:
        kind, data = opened.recv_data()
        if kind == websocket.ABNF.OPCODE_CLOSE:
            opened.shutdown()
            return int(struct.unpack("!H", data[:2])[0])


def test_a_query_reads_what_was_written(service: Service, client: redis.Redis) -> None:
    now = minute()
    HotStore(client).write(
        [
            pane(now - 60, {(): 9}, status=FINAL, users=("ann", "bob")),
            pane(now, {(): 4}, users=("bob", "eve")),
            pane(now - 60, {("DE",): 6, ("US",): 2}, grouping=("country",), status=FINAL),
        ]
    )
    status, reply = service.get("/v1/metrics?start=-1m&metrics=events,revenue,unique_users")
    assert status == 200
    assert reply["time"][-2:] == [now - 60, now]
    assert reply["series"][0]["events"][-2:] == [9, 4]
    assert reply["series"][0]["revenue"][-2:] == [13.5, 6.0]
    assert reply["series"][0]["unique_users"][-2:] == [2, 2]
    assert reply["status"][-2:] == ["final", "partial"]
    _, total = service.get("/v1/metrics?metrics=unique_users&granularity=total")
    assert total["series"][0]["unique_users"] == [3]
    _, split = service.get("/v1/metrics?dimensions=country&granularity=total")
    shown = {s["dimensions"]["country"]: s["events"][0] for s in split["series"]}
    assert shown == {"DE": 6, "US": 2, "other": 5}
    assert service.get("/v1/metrics", key=None)[1]["error"]["code"] == "read_key_missing"


def test_a_snapshot_and_then_what_changed(service: Service, client: redis.Redis) -> None:
    store = HotStore(client)
    store.write([pane(minute(), {(): 5})])
    opened = service.live()
    snapshot = message(opened)
    assert snapshot["type"] == "snapshot"
    assert sum(snapshot["events"]) == 5
    assert len(snapshot["time"]) == 1_440
    written = time.monotonic()
    store.write([pane(minute(), {(): 8})])
    while not (delta := message(opened))["time"]:
        assert delta["seq"] > snapshot["seq"]
    assert time.monotonic() - written < 5
    assert (delta["type"], delta["events"], delta["status"]) == ("delta", [8], ["partial"])
    opened.close()


def test_a_snapshot_without_a_connection_and_then_what_changed(
    service: Service, client: redis.Redis
) -> None:
    store = HotStore(client)
    store.write([pane(minute(), {("desktop",): 5, ("mobile",): 3}, grouping=("device",))])
    path = "/v1/live/snapshot?filter=device:desktop&metrics=events&dimensions=device&recent=1"
    _, snapshot = service.get(path)
    assert (snapshot["type"], len(snapshot["time"]), sum(snapshot["events"])) == (
        "snapshot", 1_440, 5
    )  # fmt: skip
    assert snapshot["top"]["device"]["values"] == ["desktop"]
    assert (snapshot["recent"], snapshot["timezone"]) == ([], "UTC")
    assert "revenue" not in snapshot
    opened = service.live({"device": "desktop"})  # who polls shares the feed of the others
    # What has changed is not known of the time before the feed, and some seconds.
    before = wait_for("a gap", lambda: known(service.get(f"{path}&since={time.time()}")[1]), 60)
    store.write([pane(minute(), {("desktop",): 8}, grouping=("device",))])

    def changed() -> bool:
        _, delta = service.get(f"{path}&since={before['as_of']}")
        assert (delta["type"], len(delta["time"]) < 5) == ("delta", True)
        return 8 in delta["events"]

    wait_for("the change", changed, 10)
    opened.close()


def test_a_snapshot_is_for_those_who_may(service: Service, stranded: Service) -> None:
    path = "/v1/live/snapshot"
    assert service.refusal(path, key=None) == (401, "read_key_missing")
    for wrong in ("filter=city:Bonn", "since=x", "recent=2", "recent=1&recent=1", "a=1"):
        assert service.refusal(f"{path}?{wrong}") == (400, "parameter_invalid")
    assert stranded.refusal(path) == (503, "store_unavailable")


def test_events_that_came_in_last_are_shown_once(service: Service, client: redis.Redis) -> None:
    def write(*entries: Entry) -> None:
        with client.pipeline() as pipe:
            recent.put(pipe, "demo", list(entries))
            pipe.execute()

    now = int(time.time() * 1_000)
    bad = Entry("b", now, code="event_malformed", message="no JSON")
    write(Entry("a", now, "click", country="DE", device="tv"), bad)
    opened, part = service.live(recent=True), service.live({"country": "DE"}, recent=True)
    plain = service.live()
    assert [each["id"] for each in message(opened)["recent"]] == ["a", "b"]
    assert [each["id"] for each in message(part)["recent"]] == ["a"]
    assert "recent" not in message(plain)
    write(Entry("c", now + 1, "click", country="US", device="tv"))
    write(Entry("d", now + 2, "purchase", country="DE", device="tv", revenue_micros=1_500_000))
    seen: list[str] = []
    while len(seen) < 2:
        seen += [each["id"] for each in message(opened).get("recent", [])]
    assert seen == ["c", "d"]
    while not (news := message(part).get("recent")):
        pass
    assert [(each["id"], each["revenue"]) for each in news] == [("d", 1.5)]
    for each in (opened, part, plain):
        each.close()


def test_a_ticket_to_come_back_with(service: Service, client: redis.Redis) -> None:
    opened = service.live(tickets=True)
    while (said := message(opened))["type"] != "ticket":
        assert said["type"] in ("snapshot", "delta")
    assert said["seconds"] == RETURN_SECONDS
    opened.close()
    address = f"ws://{HOST}:{service.port}/v1/live?ticket={said['ticket']}"
    again = websocket.create_connection(address, timeout=10, suppress_origin=True)
    again.send(json.dumps({"type": "subscribe"}))
    assert message(again)["type"] in ("snapshot", "delta")
    with pytest.raises(websocket.WebSocketBadStatusException):  # it was used
        websocket.create_connection(address, timeout=10, suppress_origin=True)
    again.close()


def test_top_values_are_those_of_a_breakdown(service: Service, client: redis.Redis) -> None:
    store, now = HotStore(client), minute()
    countries: dict[tuple[str, ...], int] = {(f"C{n:02}", "tv"): 100 - n for n in range(14)}
    old: dict[tuple[str, ...], int] = {("C13", "tv"): 5_000}
    grouping = ("country", "device")
    store.write(
        [
            pane(now - 600, {("tv",): 1_400, ("mobile",): 30}, grouping=("device",), status=FINAL),
            pane(now - 600, countries, grouping=grouping, status=FINAL),
            pane(now - 7_200, old, grouping=grouping, status=FINAL),
        ]
    )
    wish = {"metrics": ["errors", "events"], "dimensions": ["device", "country"]}
    opened = service.live({"device": "tv"}, **wish)
    snapshot = message(opened)
    assert not {"revenue", "clicks", "bots"} & set(snapshot)
    assert len(snapshot["events"]) == len(snapshot["errors"]) == len(snapshot["time"])
    top = snapshot["top"]
    assert top["device"]["values"] == ["tv"]
    assert top["country"]["values"] == [*(f"C{number:02}" for number in range(10)), "other"]
    assert top["country"]["events"][-1] == 1_400 - sum(range(91, 101))
    for dimension, found in top.items():
        _, reply = service.get(
            f"/v1/breakdown?dimension={dimension}&filter=device:tv&metrics=events,revenue"
            f",page_views,clicks,purchases,errors&start={found['start']}&end={found['end']}"
        )
        assert found == {name: reply[name] for name in found}
    assert "top" not in message(opened)  # nothing in it has changed
    opened.close()
    coming = events(service, "?filter=device:tv&dimensions=country&metrics=bots")
    next(coming)
    event = json.loads(next(coming)["data"])
    coming.close()
    assert event["top"] == {"country": top["country"]}
    assert "bots" in event
    assert "events" not in event


def test_one_that_comes_back_gets_what_it_missed(service: Service, client: redis.Redis) -> None:
    store = HotStore(client)
    store.write([pane(minute(), {(): 5})])
    opened = service.live()
    message(opened)
    opened.close()

    def back(since: float) -> websocket.WebSocket:
        again = service.socket()
        again.send(json.dumps({"type": "subscribe", "filter": {}, "since": since}))
        return again

    def first(since: float) -> dict[str, Any]:
        again = back(since)
        found = message(again)
        again.close()
        return found

    long_ago = first(time.time() - 3_600)
    assert (long_ago["type"], sum(long_ago["events"])) == ("snapshot", 5)
    # What is older than the service's first look, and some seconds, is not known.
    before = wait_for("a gap", lambda: known(first(time.time())), 60)
    store.write([pane(minute(), {(): 8})])
    again = back(before["as_of"])
    while 8 not in (missed := message(again))["events"]:  # it may be of the read before
        assert (missed["type"], len(missed["events"]) < 5) == ("delta", True)
    assert (missed["type"], len(missed["events"]) < 5) == ("delta", True)
    again.close()


def parting(said: dict[str, Any]) -> dict[str, Any] | None:
    return said if said["type"] == "announce" else None


def known(first: dict[str, Any]) -> dict[str, Any] | None:
    return first if first["type"] == "delta" else None


def events(
    service: Service, query: str, last: str | None = None
) -> Generator[dict[str, str], None, None]:
    """Server-sent events as they come, as field → value."""
    headers = {"X-Read-Key": KEY} | ({} if last is None else {"Last-Event-ID": last})
    request = urllib.request.Request(f"{service.address}/v1/live/sse{query}", headers=headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        fields: dict[str, str] = {}
        for line in answer:
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name:
                fields[name] = value
            else:
                yield fields
                fields = {}


def test_live_numbers_as_server_sent_events(service: Service, client: redis.Redis) -> None:
    store = HotStore(client)
    store.write([pane(minute(), {("DE",): 5, ("US",): 1}, grouping=("country",))])
    coming = events(service, "?filter=country:DE")
    assert next(coming) == {"retry": "2000"}
    first = next(coming)
    snapshot = json.loads(first["data"])
    assert (snapshot["type"], sum(snapshot["events"])) == ("snapshot", 5)
    assert float(first["id"]) == snapshot["as_of"]
    store.write([pane(minute(), {("DE",): 8, ("US",): 1}, grouping=("country",))])
    while not (delta := json.loads(next(coming)["data"]))["time"]:
        assert delta["type"] == "delta"
    assert delta["events"][-1] == 8
    coming.close()
    # Who comes back says the id, and gets a message of the same kinds.
    again = events(service, "?filter=country:DE", first["id"])
    assert next(again) == {"retry": "2000"}
    assert json.loads(next(again)["data"])["type"] in ("snapshot", "delta")
    again.close()


@pytest.mark.parametrize(
    "wrong",
    [
        *("filter=city:Bonn", "filter=country:DE,country:US", "since=x", "since=-1", "since=nan"),
        *("a=1", "metrics=", "metrics=users", "metrics=events,events", "dimensions=type"),
    ],
)
def test_server_sent_events_of_nothing_that_there_is(service: Service, wrong: str) -> None:
    assert service.refusal(f"/v1/live/sse?{wrong}") == (400, "parameter_invalid")
    assert service.refusal("/v1/live/sse", key="wrong") == (403, "read_key_unknown")


def test_server_sent_events_end_when_the_service_stops(
    valkey: ValkeyServer, tmp_path: Path
) -> None:
    log = tmp_path / "service.log"
    with own_service(valkey, log) as (own, child):
        coming = events(own, "")
        assert next(coming) == {"retry": "2000"}
        assert json.loads(next(coming)["data"])["type"] == "snapshot"
        began = time.monotonic()
        child.stop()
        *_, back, said = list(coming)
        assert time.monotonic() - began < 5
        assert json.loads(said["data"]) == LEAVING
        assert set(back) == {"retry"}
        assert 0 <= int(back["retry"]) < 2_000
    assert "Traceback" not in log.read_text()


def test_two_filters_have_two_feeds_and_a_socket_may_change(
    service: Service, client: redis.Redis
) -> None:
    HotStore(client).write(
        [
            pane(minute(), {(): 9}),
            pane(minute(), {("DE",): 6, ("US",): 3}, grouping=("country",)),
        ]
    )
    german, american = service.live({"country": "DE"}), service.live({"country": "US"})
    assert sum(message(german)["events"]) == 6
    assert sum(message(american)["events"]) == 3
    german.send(json.dumps({"type": "subscribe", "filter": {"country": "US"}}))

    def changed() -> bool:
        received = message(german)
        return (received["type"], received["filter"]) == ("snapshot", {"country": "US"})

    assert wait_for("snapshot of the new filter", changed, 10)
    german.close()
    american.close()


def test_what_is_now_goes_on_when_no_event_comes(service: Service, client: redis.Redis) -> None:
    store, now = HotStore(client), int(time.time())
    ten = now // PULSE * PULSE - PULSE
    store.write([pane(at, {(): 90}, width=PULSE) for at in range(ten - 20, ten + 1, PULSE)])
    store.write([pane(now // 60 * 60 - 240, {(): 1}, width=ACTIVE, users=("ann", "bob"))])
    store.beat(now)
    opened = service.live()
    first = message(opened)
    assert first["now"]["active_users"] == 2
    assert first["now"]["events_per_second"] > 0
    assert first["job"] == {"alive": True, "last_beat": now, "log_lost_since": None}
    client.flushall()  # as when all has expired, sooner than by waiting for it
    wait_for("zero", lambda: message(opened)["now"]["active_users"] == 0, 10)
    later = message(opened)
    assert later["now"]["events_per_second"] == 0
    assert later["job"]["alive"] is False
    opened.close()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (
            '{"type":"subscribe","filter":{"city":"Bonn"}}',
            "parameter_invalid",
        ),
        ('{"type":"subscribe","filter":"US"}', "parameter_invalid"),
        (
            '{"type":"subscribe","filter":{"country":"\\ud800"}}',
            "parameter_invalid",
        ),
        *(
            (f'{{"type":"subscribe","since":{since}}}', "parameter_invalid")
            for since in ("-1", "true", "NaN", '"now"', "1e300")
        ),
        *(
            (f'{{"type":"subscribe",{wish}}}', "parameter_invalid")
            for wish in ('"metrics":[]', '"metrics":["users"]', '"dimensions":["type"]')
        ),
        ('{"type":"unsubscribe"}', "parameter_invalid"),
        ("[" * 4_000, "parameter_invalid"),
        ("", "parameter_invalid"),
        ('["subscribe"]', "parameter_invalid"),
        ("not JSON", "parameter_invalid"),
    ],
)
def test_a_bad_subscription_is_told_and_closed(service: Service, text: str, code: str) -> None:
    opened = service.socket()
    opened.send(text)
    said = message(opened)
    assert (said["type"], said["code"]) == ("error", code)
    assert closing(opened) == 1008


def test_a_message_over_the_limit_closes(service: Service) -> None:
    opened = service.socket()
    opened.send("x" * 5_000)
    assert closing(opened) == 1009


def test_pages_of_other_sites_are_refused_unless_allowed(service: Service) -> None:
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        service.socket(suppress_origin=False, origin="https://evil.example")
    assert refused.value.status_code == 403
    assert b"origin_not_allowed" in (refused.value.resp_body or b"")
    for origin in (service.address, "https://shop.example"):
        opened = service.socket(suppress_origin=False, origin=origin)
        opened.send(json.dumps({"type": "subscribe"}))
        assert message(opened)["type"] == "snapshot"
        opened.close()


def test_one_that_does_not_read_holds_up_nobody(service: Service, client: redis.Redis) -> None:
    store = HotStore(client)
    slow: Any = service.socket(sockopt=[(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)])
    for _ in range(20):  # every snapshot is some 60 KB that nobody takes
        slow.send(json.dumps({"type": "subscribe"}))
    opened = service.live()
    message(opened)
    for rows in range(1, 4):
        written = time.monotonic()
        store.write([pane(minute(), {(): rows})])
        while not message(opened)["time"]:
            continue
        assert time.monotonic() - written < 5
    opened.close()
    slow.shutdown()


def test_a_store_that_is_slow_makes_the_pace_slower_until_it_is_well_again(
    service: Service, client: redis.Redis
) -> None:
    opened = service.live({"category": "slow"})

    def raw() -> Any:
        return json.loads(opened.recv())

    def degraded() -> dict[str, Any] | None:
        client.client_pause(1_500)  # ms: every read takes longer than a refresh
        return said if (said := raw())["type"] == "announce" else None

    slow = wait_for("a slower pace", degraded, 30)
    assert slow["reason"] == "degraded"
    assert slow["refresh_seconds"] >= 2 * REFRESH
    late = service.live({"category": "slow"})
    assert json.loads(late.recv())["reason"] == "degraded"
    late.close()
    usual = {"type": "announce", "reason": "normal", "refresh_seconds": REFRESH}
    wait_for("the usual pace", lambda: raw() == usual, 60)
    opened.close()


def test_sockets_are_let_go_when_the_service_stops(
    valkey: ValkeyServer, tmp_path: Path, client: redis.Redis
) -> None:
    log = tmp_path / "service.log"
    with own_service(valkey, log) as (own, child):
        opened = own.live()
        assert message(opened)["type"] == "snapshot"
        began = time.monotonic()
        child.stop()
        said = wait_for("the announcement", lambda: parting(message(opened)), 5)
        assert said == LEAVING
        assert closing(opened) == 1001
        assert time.monotonic() - began < 5
    assert "Traceback" not in log.read_text()


def test_a_plain_request_to_the_socket_address_is_refused(service: Service) -> None:
    status, reply = service.get("/v1/live")
    assert status in (400, 404)
    assert set(reply["error"]) == {"code", "message"}


def test_a_message_that_is_no_text_is_told_and_closed(service: Service) -> None:
    opened = service.socket()
    opened.send_binary(b"\xff\xfe")
    assert message(opened)["code"] == "parameter_invalid"
    assert closing(opened) == 1008


def test_a_bad_second_subscription_ends_the_first(service: Service, client: redis.Redis) -> None:
    opened = service.live()
    assert message(opened)["type"] == "snapshot"
    opened.send(json.dumps({"type": "subscribe", "filter": {"city": "Bonn"}}))
    said = wait_for("error", lambda: (m := message(opened))["type"] == "error" and m, 10)
    assert said["code"] == "parameter_invalid"
    assert closing(opened) == 1008


def test_a_new_minute_comes_as_a_delta_with_its_numbers(
    service: Service, client: redis.Redis
) -> None:
    at = minute() - 3_600
    opened = service.live()
    snapshot = message(opened)
    assert at in snapshot["time"]
    assert not any(snapshot["events"])
    HotStore(client).write([pane(at, {(): 7}, status=FINAL)])
    delta = wait_for("delta", lambda: (m := message(opened))["time"] and m, 5)
    assert (delta["time"], delta["events"]) == ([at], [7])
    assert (delta["revenue"], delta["status"]) == ([10.5], ["final"])
    opened.close()


def test_users_of_a_dimension_by_the_minute_are_unavailable(
    service: Service, client: redis.Redis
) -> None:
    path = "/v1/metrics?start=-5m&metrics=events,unique_users&filter=country:DE"
    status, reply = service.get(path)
    assert status == 200
    assert reply["series"][0]["unique_users"] is None
    assert "whole hours only" in reply["unavailable"]["unique_users"]


def test_it_is_alive_and_ready(service: Service) -> None:
    assert service.get("/healthz", key=None) == (200, {"status": "ok"})
    ready = {"status": "ready", "hot": "up", "history": "none"}
    assert service.get("/readyz", key=None) == (200, ready)


def test_the_dashboard_learns_its_settings(service: Service) -> None:
    status, config = service.get("/v1/config", key=None)
    assert status == 200
    assert config["project"] == "demo"
    assert config["read_key"] == KEY
    assert config["refresh_seconds"] == REFRESH


def test_the_dashboard_is_a_page_with_a_strict_policy(service: Service) -> None:
    status, headers, body = service.ask("/", key=None)
    assert status == 200
    assert headers.get_content_type() == "text/html"
    assert b"<html" in body
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'")
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize(
    ("path", "key", "method", "expected"),
    [
        ("/v1/metrics", None, "GET", (401, "read_key_missing")),
        ("/v1/metrics", "wrong", "GET", (403, "read_key_unknown")),
        ("/v1/metrics", "demo-write-key", "GET", (403, "read_key_unknown")),
        (f"/v1/metrics?key={KEY}", None, "GET", (401, "read_key_missing")),
        (f"/v1/metrics?key={KEY}", KEY, "GET", (400, "parameter_invalid")),
        ("/nothing", KEY, "GET", (404, "not_found")),
        ("/static/%2e%2e/app.py", KEY, "GET", (404, "not_found")),
        ("/v1/metrics", KEY, "DELETE", (405, "method_not_allowed")),
        ("/v1/metrics?granularity=5m", KEY, "GET", (400, "parameter_invalid")),
        ("/v1/metrics?limit=%C2%B2", KEY, "GET", (400, "parameter_invalid")),
    ],
)
def test_refusals(
    service: Service, path: str, key: str | None, method: str, expected: tuple[int, str]
) -> None:
    assert service.refusal(path, key, method) == expected


def test_a_wrong_method_is_told_the_right_ones(service: Service) -> None:
    _, headers, _ = service.ask("/v1/metrics", method="POST")
    assert "GET" in headers["Allow"]


@pytest.mark.parametrize("path", ["/readyz", "/v1/metrics"])
def test_without_its_store_it_says_when_to_try_again(stranded: Service, path: str) -> None:
    assert stranded.refusal(path) == (503, "store_unavailable")
    _, headers, _ = stranded.ask(path)
    assert int(headers["Retry-After"]) > 0


def test_without_its_store_it_is_alive(stranded: Service) -> None:
    assert stranded.get("/healthz") == (200, {"status": "ok"})


def test_without_its_store_a_socket_is_told(stranded: Service) -> None:
    opened = stranded.live()
    said = message(opened)
    assert (said["type"], said["code"]) == ("error", "store_unavailable")
    opened.close()
