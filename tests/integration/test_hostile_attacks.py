"""One project attacks, another must not notice: the real stack, with fewer events than by hand.

The figures for a million are `python -m tests.fuzz.attacks`.
"""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from http.client import HTTPConnection

import pytest

from deploy.ports import HOST
from stores.clickhouse_client import Address, Connection
from stores.hot import MAX_SERIES_PER_DAY
from stores.pane import FINAL, MINUTE
from tests.fuzz.attacks import ATTACKER, VICTIM, Sent, Site, any_time, distinct, one_user, site
from tests.integration.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(600)]

CAP = 300  # of series of a window
EVENTS = 60_000
ON_TIME = 60.0  # seconds after its end; usually 15 to 20


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("attacks"), f"--max_series={CAP}") as running:
        yield running


def attacked(place: Site, events: object, count: int) -> tuple[Sent, Sent]:
    """An attack, and the victim's traffic before, during and after it."""
    with place.victim() as victim:
        time.sleep(2)
        sent = place.attack(events, count)  # type: ignore[arg-type]
        time.sleep(2)
    assert victim.refused == Counter()
    assert victim.slowest_s < 30
    return sent, victim


def test_a_million_names_are_capped_and_shown_as_other(place: Site) -> None:
    sent, victim = attacked(place, distinct, EVENTS)
    assert sent.accepted == EVENTS
    place.shown_within(victim, 90)
    place.shown_within(sent, 180)
    start, end = min(sent.minutes), max(sent.minutes) + MINUTE
    for grouping in (("category",), ("country", "category"), ("country", "device", "category")):
        named = place.hot.members(ATTACKER, grouping, start, end)
        assert 0 < len(named) <= MAX_SERIES_PER_DAY
        rows = sum(
            int(m[:, 0].sum()) for m in place.hot.many(ATTACKER, grouping, named, start, end)
        )
        assert 0 < rows <= CAP * len(sent.minutes)  # the rest is the total minus these: `other`

    def whole(category: str) -> bool:  # each grouping has panes of its own
        series = place.hot.series(VICTIM, ("category",), (category,), start - 600, end + 600)
        return int(series[:, 0].sum()) * 3 == victim.accepted

    for n in range(3):
        wait_for(f"{victim.accepted // 3} of fine{n}", partial(whole, f"fine{n}"), 60)
    place.closed_after(VICTIM, max(victim.minutes), ON_TIME)


def test_one_users_traffic_keeps_no_other_partition_waiting(place: Site) -> None:
    sent, victim = attacked(place, one_user, EVENTS)
    minute = max(victim.minutes)
    place.shown_within(victim, 60)
    place.shown_within(sent, 120)
    place.closed_after(VICTIM, minute, ON_TIME)


def test_wrong_clocks_open_no_windows_and_move_no_watermark(place: Site) -> None:
    before = set(place.client.scan_iter(f"sl:{{{ATTACKER}}}:*"))

    def counted(now: int) -> int:
        return sum(place.minutes(ATTACKER, now - 7_200, now + 600).values())

    held = counted(int(time.time()))
    sent, victim = attacked(place, any_time, 10_000)
    assert set(sent.refused) == {"event_ts_invalid"}
    minute = max(victim.minutes)
    if time.time() < minute + MINUTE:
        assert place.hot.status(VICTIM, minute, minute + MINUTE)[0] < FINAL
    now = int(time.time())
    # What is ahead counts when it came, and what is long past is too late.
    valid = sum(count for at, count in sent.minutes.items() if at > now - 3_000)
    wait_for(
        lambda: f"{valid} rows more than {held}, but {counted(now) - held}",
        lambda: counted(now) - held == valid > 0,
        60,
    )
    late = [{"type": "click", "user_id": "v", "ts": (now - 600) * 1_000}]
    _post(place, victim, late)
    place.shown_within(victim, 60)
    place.closed_after(VICTIM, minute, ON_TIME)
    days = {name.rsplit(b":", 1)[1] for name in place.client.scan_iter(f"sl:{{{ATTACKER}}}:c:*")}
    assert len(days) <= 2
    assert len(set(place.client.scan_iter(f"sl:{{{ATTACKER}}}:*"))) < len(before) + 500


def test_raw_events_of_all_years_do_not_fill_the_store_with_parts(place: Site) -> None:
    """Each day is a partition: what is older than they are kept is not worth one."""
    address = Address.parse(place.stack.settings.history_url)
    connection = Connection(address, 30, {})
    _, victim = attacked(place, any_time, 10_000)
    wanted = sum(place.sent[VICTIM][minute] for minute in victim.minutes)
    deadline = time.monotonic() + 90
    query = f"SELECT count() AS n FROM {address.database}.events FINAL WHERE project = '{VICTIM}'"
    query += f" AND event_time >= toDateTime({min(victim.minutes)})"
    while time.monotonic() < deadline:
        stored = connection.table(query).to_pylist()[0]["n"]
        if stored >= wanted:
            break
        time.sleep(1)
    assert stored >= wanted
    parts = connection.table(
        "SELECT uniqExact(partition) AS n FROM system.parts"
        f" WHERE database = '{address.database}' AND table = 'events'"
    ).to_pylist()[0]["n"]
    connection.close()
    assert parts <= 40


def test_a_batchs_clock_moves_it_a_little_or_not_at_all(place: Site) -> None:
    now = int(time.time())
    sent = Sent(VICTIM)
    moments = (0, 1, -(2**63), now * 1_000, 4_102_444_799_999, 946_684_800_000, 10**30)
    for sent_at in moments:
        event = {"type": "click", "user_id": "clock", "ts": now * 1_000, "category": "clock"}
        _post(place, sent, [event], sent_at=sent_at)

    def counted() -> int:
        rows = place.hot.series(VICTIM, ("category",), ("clock",), now // 60 * 60 - 60, now + 180)
        return int(rows[:, 0].sum())

    # A sender in 2100 sends what happened 74 years ago: late. The others' clocks are left alone.
    deadline = time.monotonic() + 60
    while counted() < len(moments) - 1 and time.monotonic() < deadline:
        time.sleep(0.5)
    assert counted() == len(moments) - 1


def _post(place: Site, sent: Sent, events: list[dict[str, object]], **more: object) -> None:
    with closing(HTTPConnection(HOST, place.port, timeout=30)) as link:
        place.post(link, sent, events, "Mozilla/5.0 (X11; Linux x86_64)", **more)
