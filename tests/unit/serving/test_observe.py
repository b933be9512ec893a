"""What the service counts: requests, replies, caches, stores, feeds."""

from collections.abc import Callable
from typing import Any, cast

import gevent
import pytest
from flask.testing import FlaskClient
from gevent.event import Event

from serving.app import create_app
from serving.cache import SealedCache
from serving.feed import Feed
from serving.pace import Pace
from serving.projects import DEMO, Projects
from serving.replies import Replies
from serving.settings import Settings
from serving.subscriber import QUEUE, Overrun, Subscriber
from serving.view import View
from stores.contract import Counts, StoreUnavailable
from stores.hot import HotStore
from telemetry.metrics import SERVICE
from tests.unit.serving.stores import MemoryStore
from tests.unit.serving.test_app import Away
from tests.unit.telemetry.samples import value

KEY = {"X-Read-Key": "demo-read-key"}


@pytest.fixture
def client() -> FlaskClient:
    return create_app(Settings(), Away(), Projects.load(None)).test_client()


def change(name: str, do: Callable[[], Any], **labels: str) -> float:
    """By how much something moves a sample."""
    before = value(SERVICE, name, **labels)
    do()
    return value(SERVICE, name, **labels) - before


@pytest.mark.parametrize(
    ("path", "route", "status"),
    [
        ("/healthz", "/healthz", "200"),
        ("/readyz", "/readyz", "503"),
        ("/v1/metrics?x=y", "/v1/metrics", "401"),
        ("/static/favicon.svg", "/static/<path:filename>", "200"),
        ("/anything/else", "other", "404"),
    ],
)
def test_requests_by_route_and_status(client: FlaskClient, path: str, route: str, status: str):
    def ask() -> None:
        client.get(path).close()

    assert change("requests_total", ask, route=route, status=status) == 1
    assert change("request_seconds_count", ask, route=route) == 1
    assert change("response_bytes_total", ask, route=route) > 0


def test_a_store_that_fails_is_counted_and_down(client: FlaskClient):
    def ask() -> None:
        client.get("/v1/metrics", headers=KEY)

    assert change("store_failures_total", ask, store="hot") == 1
    assert value(SERVICE, "store_down", store="hot") == 1


def test_questions_to_stores_are_timed(client: FlaskClient):
    def ask() -> None:
        client.get("/v1/metrics?metrics=events", headers=KEY)

    assert change("store_seconds_count", ask, store="hot", question="counts") == 1


def test_replies():
    replies = Replies(60)
    assert change("reply_cache_total", lambda: replies.get("a", lambda: b""), result="miss") == 1
    assert change("reply_cache_total", lambda: replies.get("a", lambda: b""), result="hit") == 1


def test_a_cache_that_is_away():
    cache = SealedCache(Away())
    ask = lambda: cache.get("q", lambda: Counts.empty(1))  # noqa: E731
    assert change("sealed_cache_total", ask, result="bypass") == 1


def test_feeds_and_their_queues():
    store = MemoryStore()
    feed = Feed(View(cast(HotStore, store), DEMO, ()), Pace(0.01))
    place = Subscriber(feed, lambda _: False, Event())
    feed.add(place)
    assert feed.size == 1
    before = [value(SERVICE, f"{name}_seconds_count") for name in ("refresh", "fan_out")]
    running = gevent.spawn(feed.run)
    assert place.arrived.wait(5)
    place.leave()
    running.join(5)
    after = [value(SERVICE, f"{name}_seconds_count") for name in ("refresh", "fan_out")]
    assert all(b > a for a, b in zip(before, after, strict=True))


def test_a_queue_that_is_full():
    feed = Feed(View(cast(HotStore, MemoryStore()), DEMO, ()), Pace(60))
    place = Subscriber(feed, lambda _: False, Event())

    def flood() -> None:
        for _ in range(2 * QUEUE + 1):
            place.put(b"delta", lambda: b"snapshot")

    dropped = value(SERVICE, "dropped_messages_total")
    assert change("overruns_total", flood) == 2
    assert value(SERVICE, "dropped_messages_total") - dropped == 2 * QUEUE
    with pytest.raises(Overrun):
        place.take()


def test_a_failed_question_is_timed_too():
    from serving.seam import timed

    def fail() -> None:
        with pytest.raises(StoreUnavailable), timed("clickhouse", "pages"):
            raise StoreUnavailable("restarts")

    labels = {"store": "clickhouse", "question": "pages"}
    assert change("store_seconds_count", fail, **labels) == 1
    assert change("store_failures_total", fail, store="clickhouse") == 1
