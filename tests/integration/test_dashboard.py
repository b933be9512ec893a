"""The dashboard in a real Chromium, over the real service and Valkey: states, filters, keys."""

import json
import re
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis

from deploy.children import PythonChild, answers_ready
from deploy.ports import HOST, free_port
from deploy.services import ValkeyServer
from events import sketch
from scripts.browser import PAINTED, Page, browser
from stores import recent
from stores.hot import HotStore
from stores.pane import ACTIVE, FINAL, MEASURES, MINUTE, PARTIAL, PULSE, REVISED, Grouping, Pane
from stores.recent import Entry
from tests.integration.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

PICTURES = Path(__file__).parents[2] / "build" / "screenshots"
SOON = 30.0  # seconds
REFRESH = 0.4
PLACES = {"DE": 6, "US": 3, "FR": 1}  # country → tenths of the events
DEVICES = {"mobile": 7, "desktop": 3}
CATEGORIES = {"shoes": 8, "books & maps": 2}
COLUMN = {name: at for at, name in enumerate(MEASURES)}
RANKED = "document.querySelector('#top-country .name').textContent === 'Germany'"
ANSWERED = "document.querySelector('#tile-events .figure').textContent !== '–'"
SAID = "document.querySelector('#readout').textContent"
WATCH = """
  window.__shift = 0;
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.__shift += entry.value;
  }).observe({ type: "layout-shift", buffered: false });
"""
HIDE = """
  Object.defineProperty(document, "hidden", { configurable: true, get: () => %s });
  document.dispatchEvent(new Event("visibilitychange"));
"""


class Shop:
    """What the pipeline would write, and the service over it."""

    def __init__(self, valkey: ValkeyServer, folder: Path) -> None:
        self.valkey = valkey
        self.port = free_port()
        arguments = ["serving.app", f"--port={self.port}", f"--redis_url={valkey.address}"]
        self.service = PythonChild(
            "service",
            [*arguments, f"--refresh_seconds={REFRESH}", "--metrics_port=0"],
            answers_ready(self.port),
            log_path=folder / "service.log",
            environment={},
            ready_within=60,
        )
        self.client = redis.Redis.from_url(valkey.address)
        self.store = HotStore(self.client)
        self.url = f"http://{HOST}:{self.port}/"

    def fill(self, minutes: int = 90) -> None:
        """Minutes until now, each with 100 events, and the same time yesterday with 50."""
        self.client.flushall()
        now = minute()
        self.store.beat(time.time(), since=now - 25 * 3600)
        for back in range(minutes, 0, -1):
            self.write(now - back * MINUTE, 100, REVISED if back == 7 else FINAL)
        for back in range(62, -30, -1):
            self.write(now - 86_400 - back * MINUTE, 50, FINAL)
        self.write(now, 10, PARTIAL)
        self.live(now)

    def write(self, at: int, events: int, status: int) -> None:
        """A minute by all that is filtered and ranked by."""
        parts = (PLACES, DEVICES, CATEGORIES)
        series: dict[Grouping, dict[tuple[str, ...], float]] = {(): {(): 1.0}}
        for name, part in zip(("country", "device", "category"), parts, strict=True):
            for grouping, known in list(series.items()):
                series[(*grouping, name)] = {
                    (*values, value): share * tenths / 10
                    for values, share in known.items()
                    for value, tenths in part.items()
                }
        panes = []
        for grouping, shares in series.items():
            measures = np.zeros((len(shares), len(MEASURES)), np.int64)
            counts = [round(share * events) for share in shares.values()]
            measures[:, COLUMN["rows"]] = measures[:, COLUMN["page_views"]] = counts
            measures[:, COLUMN["errors"]] = measures[:, 0] // 50
            measures[:, COLUMN["revenue_micros"]] = measures[:, 0] * 1_500_000
            panes.append(Pane("demo", grouping, at, MINUTE, status, list(shares), measures))
        self.store.write(panes)

    def live(self, now: int) -> None:
        """What the figures of now are made of."""
        measures = np.zeros((1, len(MEASURES)), np.int64)
        measures[:, 0] = measures[:, 1] = 30
        ten = int(time.time()) // PULSE * PULSE
        hashes = np.array([sketch.user_hash(f"user {i}") for i in range(500)], np.uint64)
        users = sketch.from_hashes(hashes)
        self.store.write(
            [
                *(Pane("demo", (), at, PULSE, FINAL, [()], measures)
                  for at in range(ten - 60, ten + 61, PULSE)),
                Pane("demo", (), now - 240, ACTIVE, PARTIAL, [()], measures, users, now),
            ]
        )  # fmt: skip

    def happen(self, *entries: Entry) -> None:
        """Events that came in."""
        pipe: Any = self.client.pipeline(transaction=False)
        recent.put(pipe, "demo", list(entries))
        pipe.execute()
        self.write(minute(), 11, PARTIAL)  # news wake the feed


def event(number: int, **more: Any) -> Entry:
    known: dict[str, Any] = {"type": "page_view", "url": f"https://shop.example/p/{number}"}
    known |= {"country": "DE", "device": "mobile"}
    return Entry(id=f"e{number}", at=int(time.time() * 1000), **{**known, **more})


def refused(number: int) -> Entry:
    at = int(time.time() * 1000)
    return Entry(f"r{number}", at, code="event_ts_invalid", message="ts is not plausible.")


def minute() -> int:
    return int(time.time()) // MINUTE * MINUTE


@pytest.fixture(scope="module")
def shop(valkey: ValkeyServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    made = Shop(valkey, tmp_path_factory.mktemp("shop"))
    with made.service, closing(made.client):
        yield made


@pytest.fixture(scope="module")
def tab() -> Iterator[Page]:
    with browser() as page:
        page.look(1360, 900)
        yield page


@pytest.fixture
def page(tab: Page, shop: Shop, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The one tab, as if it were a new one; nothing is thrown, and nothing against the policy.

    What can be seen at the end is kept as a picture.
    """
    tab.open("about:blank")
    tab.look(1360, 900)
    time.sleep(2 * REFRESH)  # no feed is left that would read the store while it is filled
    shop.fill()
    origin = shop.url.rstrip("/")
    tab.call("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": "all"})
    tab.call("Network.setBlockedURLs", {"urls": []})
    yield tab
    tab.picture(PICTURES / f"{request.node.name}.png")
    assert [
        each for each in tab.problems if "Failed to load" not in each and "WebSocket" not in each
    ] == []


def opened(page: Page, url: str) -> None:
    page.open(url)
    page.state("live")
    page.wait(ANSWERED)


def rows(page: Page, name: str) -> list[str]:
    """Names of a ranking's rows."""
    found = page.evaluate(
        f"[...document.querySelectorAll('#top-{name} li:not(.blank) .name')]"
        ".map((each) => each.textContent)"
    )
    assert isinstance(found, list)
    return found


def number(page: Page, expression: str) -> float:
    found = page.evaluate(expression)
    assert isinstance(found, int | float)
    return found


def query(page: Page) -> dict[str, str]:
    """What the address says."""
    return dict(urllib.parse.parse_qsl(str(page.evaluate("location.search.slice(1)"))))


def asked(page: Page, path: str) -> list[str]:
    return [each for each in page.requests if path in each]


def test_the_first_screen(page: Page, shop: Shop) -> None:
    opened(page, shop.url)
    page.wait("document.querySelector('#tile-users .versus').textContent.includes('yesterday')")
    assert page.text("#tile-events .figure") == "3.0"
    assert page.text("#tile-users .figure").startswith("~")
    assert "last 5 minutes" in page.text("#tile-users .tile-label")
    assert "one standard error" in page.text("#about-users")
    # 3.0 a second against 50 a minute.
    page.wait("document.querySelector('#tile-events .versus').textContent.includes('on 0.8')")
    # $150 a minute against $75, of which the minute in progress counts in part.
    assert re.search(r"▲ (9\d|100)% on \$4,[45]\d\d", page.text("#tile-revenue .versus"))
    assert page.text("#tile-errors .figure") == "1.95%"  # of the 10 in progress none is one
    assert "100 per minute" in page.text("#readout")
    page.wait(RANKED)
    assert rows(page, "country") == ["Germany", "United States", "France"]
    assert rows(page, "device") == ["mobile", "desktop"]
    assert rows(page, "category") == ["shoes", "books & maps"]
    page.wait("document.querySelector('#top-page .nothing').textContent.includes('raw events')")
    assert "most 100 at" in page.text("#summary")
    assert page.text("#zone") == "UTC"
    # About: the error of an estimate, for who hovers and who tabs.
    shown = "getComputedStyle(document.querySelector('#about-users')).visibility"
    assert page.evaluate(shown) == "hidden"
    page.evaluate("document.querySelector('#tile-users .figure').focus()")
    assert page.evaluate(shown) == "visible"


def test_one_snapshot_is_enough_for_the_first_numbers(page: Page, shop: Shop) -> None:
    """With everything else blocked: no ticket, no socket, no query, no ledger."""
    blocked = ["*/v1/tickets*", "*/v1/live?*", "*/v1/live/sse*", "*/v1/metrics*", "*/v1/ledger*"]
    blocked += ["*/v1/breakdown*", "*/v1/access*"]
    page.evaluate("0")
    page.call("Network.setBlockedURLs", {"urls": blocked})
    page.open(shop.url)
    page.wait(ANSWERED)
    assert page.text("#tile-events .figure") == "3.0"
    assert page.wait("document.querySelectorAll('#plot canvas').length") == 1
    assert rows(page, "country")[:3] == ["Germany", "United States", "France"]
    snapshots = asked(page, "/v1/live/snapshot")
    assert len(snapshots) == 1


def test_it_asks_for_little(page: Page, shop: Shop) -> None:
    """In five seconds of live numbers: each question once."""
    opened(page, shop.url)
    page.wait("document.querySelector('#tile-users .versus').textContent.includes('yesterday')")
    for number in range(10):
        shop.write(minute(), 20 + number, PARTIAL)
        page.evaluate(PAINTED)
        time.sleep(0.5)
    for path in ("/v1/breakdown", "/v1/ledger", "/v1/access", "/v1/config"):
        assert len(asked(page, path)) == 1, path
    # The first is refused, when it is of over 25 hours ago: there is no history store here.
    assert len(asked(page, "/v1/metrics?start")) in (1, 2)
    assert len(asked(page, "unique_users")) == 2


def test_filters_combine_are_in_the_address_and_go_again(page: Page, shop: Shop) -> None:
    opened(page, shop.url + "?metric=revenue")
    page.wait(RANKED)
    page.click("#top-country button")
    page.wait("document.querySelectorAll('#chips .chip').length === 1")
    page.wait("document.body.dataset.pending === 'false'")
    page.wait(f"{SAID}.includes('$90.00')")
    page.click("#top-category li:nth-child(2) button")
    page.wait("document.querySelectorAll('#chips .chip').length === 2")
    page.wait(f"{SAID}.includes('$18.00')")
    assert query(page) == {"country": "DE", "category": "books & maps", "metric": "revenue"}
    page.wait("document.querySelector('#tile-users .figure').textContent === '–'")
    assert "several filters" in page.text("#about-users")
    assert page.text("#chips li:first-child") == "Country: Germany ×"

    # The address alone gives the same.
    address = str(page.evaluate("location.href"))
    opened(page, address)
    page.wait(f"{SAID}.includes('$18.00')")

    page.click("#chips li:first-child .chip")
    page.wait("document.querySelectorAll('#chips .chip').length === 1")
    assert query(page) == {"category": "books & maps", "metric": "revenue"}
    page.press("Escape")
    page.wait("document.querySelectorAll('#chips .chip').length === 0")
    page.wait(f"{SAID}.includes('$150.00')")
    assert query(page) == {"metric": "revenue"}
    # A row that is pressed again is let go.
    page.click("#top-device button")
    page.wait("document.querySelector('#top-device button').ariaPressed === 'true'")
    page.click("#top-device button")
    page.wait("document.querySelectorAll('#chips .chip').length === 0")
    # A value that is in no list.
    page.click("#add-filter")
    page.write("fr")
    page.press("Enter")
    page.wait("document.querySelector('#chips').textContent === 'Country: France ×'")
    page.wait(f"{SAID}.includes('$15.00')")


def test_a_filter_without_events_says_so(page: Page, shop: Shop) -> None:
    opened(page, shop.url + "?country=JP")
    page.wait("!document.querySelector('#none').hidden")
    assert page.text("#none-title") == "No events of Japan in the last 24 hours"
    page.click("#none-clear")
    page.wait("document.querySelector('#none').hidden")
    assert query(page) == {}


def test_all_of_it_by_keys(page: Page, shop: Shop) -> None:
    opened(page, shop.url + "?hours=1")
    page.press("x")
    page.wait(f"{SAID}.includes('on 50 yesterday')")
    assert query(page) == {"hours": "1", "compare": "yesterday"}
    page.press("x")
    page.wait(f"!{SAID}.includes('yesterday')")

    page.press("?", shift=True)
    page.wait("document.querySelector('#help-dialog').open")
    page.press("x")  # not for the page below
    page.press("Escape")
    page.wait("!document.querySelector('#help-dialog').open")
    assert query(page) == {"hours": "1"}

    # A selection, and back.
    page.evaluate("document.querySelector('#plot').focus()")
    page.press("End")
    page.press("ArrowLeft")
    value = "document.querySelector('#plot').ariaValueText"
    assert "100 per minute" in str(page.wait(value))
    page.press(" ")
    page.press("ArrowLeft", shift=True)
    page.press("ArrowLeft", shift=True)
    page.press(" ")
    page.wait("!document.querySelector('#to-live').hidden")
    assert "2,100 events" in page.text("#summary")
    page.press("r")
    page.wait("document.querySelector('#to-live').hidden")
    page.press("Home")
    page.press("Enter")
    page.press("ArrowRight", shift=True)
    page.press("Enter")
    page.wait("!document.querySelector('#to-live').hidden")
    page.press("Escape")
    page.wait("document.querySelector('#to-live').hidden")
    page.wait("document.querySelector('#tile-revenue .cross').hidden")

    # Where somebody types, letters are letters.
    page.evaluate("document.querySelector('#metric').focus()")
    page.press("x")
    assert query(page) == {"hours": "1"}


def test_everything_that_can_be_pressed_is_reached_by_tab_and_is_seen(
    page: Page, shop: Shop
) -> None:
    opened(page, shop.url)
    page.wait(RANKED)
    page.evaluate("document.activeElement.blur()")
    reached = set()
    for _ in range(80):
        page.press("Tab")
        where = page.evaluate(
            """(() => {
              const at = document.activeElement;
              if (at === document.body) return null;
              const seen = getComputedStyle(at).outlineStyle !== "none";
              const name = at.id || at.getAttribute("aria-label") || at.textContent;
              return [name, seen];
            })()"""
        )
        if where is None:
            break
        assert isinstance(where, list)
        assert where[1], f"no focus is seen on {where[0]}"
        reached.add(where[0])
    wanted = {"share", "help", "metric", "compare", "as-table", "plot", "pause", "Events", "Debug"}
    assert wanted <= reached
    assert any(str(each).startswith("Germany") for each in reached)


def test_the_crosshair_is_shared_and_a_drag_zooms(page: Page, shop: Shop) -> None:
    opened(page, shop.url + "?hours=1&compare=yesterday")
    page.wait(f"{SAID}.includes('yesterday')")
    page.point("#plot .u-over", 0.5)
    page.wait("!document.querySelector('#tile-revenue .cross').hidden")
    page.wait("document.querySelector('#tile-revenue .versus').textContent.includes('$150.00')")
    at = page.text("#readout")[:5]
    assert page.text("#tile-events .versus").startswith(at)
    page.point("#tile-errors .spark svg", 0.25)  # and the other way about
    page.wait(f"!{SAID}.startsWith({json.dumps(at)})")
    page.point("h1", 0.5)
    page.wait("document.querySelector('#tile-revenue .cross').hidden")
    page.drag("#plot .u-over", 0.3, 0.6)
    page.wait("!document.querySelector('#to-live').hidden")
    shown = page.text("#summary")
    page.click("#to-live")
    page.wait("document.querySelector('#to-live').hidden")
    page.wait(f"document.querySelector('#summary').textContent !== {json.dumps(shown)}")


def test_the_table_has_what_the_chart_has(page: Page, shop: Shop) -> None:
    opened(page, shop.url + "?hours=1&compare=yesterday")
    page.click("#as-table")
    page.wait("document.querySelectorAll('#table tbody tr').length > 50")
    assert "Users" in page.text("#table thead")
    cells = page.evaluate(
        "[...document.querySelector('#table tbody tr:nth-child(2)').cells]"
        ".map((each) => each.textContent)"
    )
    assert isinstance(cells, list)
    assert cells[1:8] == ["100", "100", "0", "0", "2", "$150.00", "2.00%"]
    page.wait("document.querySelector('#table tbody tr:nth-child(2)').textContent.includes('50')")
    assert "revised" in page.text("#table tbody")
    assert page.text("#table tbody tr:first-child td:last-child") == "in progress"
    page.click("#as-table")
    page.wait("document.querySelector('#plot').checkVisibility()")


def test_the_feed_is_paused_and_goes_on(page: Page, shop: Shop) -> None:
    shop.happen(*(event(number) for number in range(5)))
    opened(page, shop.url)
    first = "document.querySelector('#feed li .what').textContent"
    page.wait(f"{first} === '/p/4'")
    page.click("#pause")
    shop.happen(*(event(number) for number in range(5, 17)))
    page.wait("document.querySelector('#pause').textContent === 'Resume · 12 new'")
    assert page.evaluate(first) == "/p/4"
    page.click("#pause")
    page.wait(f"{first} === '/p/16'")
    assert page.text("#pause") == "Pause"

    shop.happen(refused(1))
    page.click("#feed .segments button:nth-child(2)")
    page.wait("document.querySelectorAll('#feed li.rejected').length === 1")
    assert "✕ rejected" in page.text("#feed li.rejected")
    assert "event_ts_invalid" in page.text("#feed li.rejected")
    assert "ts is not plausible." in page.text("#feed li.rejected")
    page.click("#feed .head > button:not(.chip):not(.pause)")
    page.wait("document.querySelectorAll('#feed li').length === 1")


def test_before_the_first_event_it_says_how_and_then_what_came(page: Page, shop: Shop) -> None:
    shop.client.flushall()
    shop.store.beat(time.time(), since=minute())
    page.open(shop.url)
    page.wait("!document.querySelector('#first').hidden")
    assert "streamlens.js" in page.text("#snippet")
    assert "demo-write-key" in page.text("#snippet")
    page.click("#first .segments button:nth-child(2)")
    assert page.text("#snippet").startswith("curl -X POST")
    assert "Waiting" in page.text("#first .result")
    pipe: Any = shop.client.pipeline(transaction=False)
    recent.put(pipe, "demo", [refused(1)])
    pipe.execute()
    page.wait("document.querySelector('#first .result').textContent.includes('event_ts_invalid')")
    pipe = shop.client.pipeline(transaction=False)
    recent.put(pipe, "demo", [event(2)])
    pipe.execute()
    page.wait("document.querySelector('#first .result').textContent.startsWith('✓')")
    shop.write(minute(), 1, PARTIAL)
    page.wait("document.querySelector('#first').hidden")
    page.wait("document.querySelector('#dashboard').checkVisibility()")


def test_a_wrong_key_is_told_and_the_next_one_tried(page: Page, shop: Shop) -> None:
    page.open(shop.url + "#share=sls_wrong")
    page.state("denied")
    assert page.text("#connection-text") == "not allowed"
    page.wait("document.activeElement.id === 'ask-key'")
    assert "read key" in page.text("#notice").lower()
    page.write("demo-read-key")
    page.press("Enter")
    page.state("live")
    page.wait(ANSWERED)


def test_a_share_link_opens_its_part_and_no_more(page: Page, shop: Shop) -> None:
    opened(page, shop.url + "?country=DE")
    page.click("#share")
    assert "Germany of demo" in page.text("#share-dialog")
    page.click("#share-dialog .primary")
    link = page.wait("document.querySelector('#share-dialog input').value")
    assert link.startswith(f"{shop.url}#share=sls_")
    assert "Opens Germany of demo until" in page.text("#share-dialog .until")
    assert "(UTC)" in page.text("#share-dialog .until")

    page.open("about:blank")
    opened(page, link)
    page.wait("document.querySelector('#chips span.chip') !== null")
    assert page.text("#chips") == "Country: Germany"  # no ×: it is the link's
    assert page.evaluate("document.querySelector('#ledger').hidden")
    page.wait("document.querySelector('#access').textContent.startsWith('This access ends')")
    page.press("Escape")
    page.wait(RANKED)
    page.click("#top-device button")
    page.wait("document.querySelectorAll('#chips .chip').length === 2")
    assert query(page) == {"device": "mobile"}
    page.press("Escape")
    page.wait("document.querySelectorAll('#chips .chip').length === 1")
    # Its wish is within the link's part, not beside it.
    opened(page, link.replace("/#", "/?country=FR#"))
    page.wait("document.querySelector('#chips').textContent === 'Country: Germany'")


def test_offline_and_back(page: Page, shop: Shop) -> None:
    opened(page, shop.url)
    value = page.text("#tile-events .figure")
    page.offline(really=True)
    page.state("offline")
    assert page.text("#tile-events .figure") == value  # kept
    grey = "getComputedStyle(document.querySelector('.tile-value')).color"
    assert page.evaluate(grey) == page.evaluate(
        "getComputedStyle(document.querySelector('.summary')).color"
    )
    page.offline(really=False)
    page.state("live")


def test_a_service_that_comes_back_is_asked_for_what_was_missed(page: Page, shop: Shop) -> None:
    opened(page, shop.url)
    page.wait("true")
    shop.service.stop()
    page.state("reconnecting")
    text = page.wait("document.querySelector('#connection-text').textContent")
    assert text.startswith("reconnecting")
    said = len(page.frames)
    shop.write(minute(), 77, PARTIAL)
    shop.service.start()
    page.state("live", 60)
    page.wait("true")
    wishes = [json.loads(frame).get("since") for frame in page.frames[said:]]
    for request in asked(page, "/v1/live/sse"):  # when sockets failed too often meanwhile
        found = urllib.parse.parse_qs(urllib.parse.urlsplit(request).query)
        wishes += map(float, found.get("since", []))
    assert wishes
    assert wishes[-1] > time.time() - 120
    assert page.evaluate("document.querySelectorAll('#plot canvas').length") == 1


@contextmanager
def own_shop(tmp_path: Path) -> Iterator[Shop]:
    """One whose store a test may stop."""
    with ValkeyServer(free_port(), tmp_path / "valkey", persistence=False) as valkey:
        made = Shop(valkey, tmp_path)
        with made.service, closing(made.client):
            yield made


def test_without_its_store_the_numbers_are_stale_and_stay(tab: Page, tmp_path: Path) -> None:
    with own_shop(tmp_path) as shop:
        shop.fill(5)
        opened(tab, shop.url)
        value = tab.text("#tile-revenue .figure")
        shop.valkey.stop()
        tab.state("stale")
        assert str(tab.text("#connection-text")).startswith("stale since ")
        assert tab.text("#tile-revenue .figure") == value
        shop.valkey.start()
        shop.fill(5)
        tab.state("live", 60)
        tab.open("about:blank")


def test_a_hidden_tab_paints_nothing_and_catches_up(page: Page, shop: Shop) -> None:
    opened(page, shop.url + "?hours=1")
    page.evaluate(HIDE % "true")
    page.evaluate(
        "window.__writes = 0; new MutationObserver((all) => { window.__writes += all.length; })"
        ".observe(document.body, { subtree: true, childList: true, characterData: true })"
    )
    for number in range(4):
        shop.write(minute(), 40 + number, PARTIAL)
        time.sleep(0.5)
    shop.write(minute() - MINUTE, 250, REVISED)
    time.sleep(1)
    assert page.evaluate("window.__writes") == 0
    page.evaluate(HIDE % "false")
    page.wait(f"{SAID}.includes('250 per minute')")


@pytest.mark.parametrize(("width", "height"), [(1360, 900), (390, 844), (1920, 1080)])
def test_nothing_moves_when_numbers_change_and_nothing_is_too_wide(
    page: Page, shop: Shop, width: int, height: int
) -> None:
    page.look(width, height)
    opened(page, shop.url)
    page.wait("document.querySelector('#tile-users .versus').textContent.includes('yesterday')")
    page.wait("document.querySelector('#top-page .nothing').textContent !== ''")
    page.evaluate(WATCH)
    for step in range(8):
        shop.write(minute(), 10 ** (step // 2 + 2) + step, PARTIAL)
        shop.happen(*(event(step * 10 + number) for number in range(3)))
        page.evaluate(PAINTED)
        time.sleep(0.5)
    assert number(page, "window.__shift") < 0.001
    assert number(page, "document.documentElement.scrollWidth - innerWidth") <= 0
    if width == 1920:  # a TV: nothing to scroll
        assert page.evaluate("document.documentElement.dataset.layout") == "tv"
        assert number(page, "document.documentElement.scrollHeight - innerHeight") <= 0


def test_what_is_read_aloud_comes_seldom(page: Page, shop: Shop) -> None:
    opened(page, shop.url)
    page.evaluate(
        "window.__said = []; new MutationObserver(() => window.__said.push(Date.now()))"
        ".observe(document.querySelector('#said'), { subtree: true, childList: true,"
        " characterData: true })"
    )
    for _ in range(3):
        page.offline(really=True)
        page.state("offline")
        page.offline(really=False)
        page.state("live")
    assert number(page, "window.__said.length") <= 1
    live = page.evaluate("document.querySelectorAll('[aria-live], [role=status]').length")
    assert live == 1


def test_built_files_ask_no_other_site(page: Page, shop: Shop) -> None:
    opened(page, shop.url)
    wait_for("the ledger", lambda: asked(page, "/v1/ledger"), SOON)
    addresses = {urllib.parse.urlsplit(each.split(" ")[1]).netloc for each in page.requests}
    assert addresses <= {f"{HOST}:{shop.port}", ""}
