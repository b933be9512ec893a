import itertools
import json
import random
from collections import Counter

from ua_parser import parse

from deploy import traffic
from events import schema

NOW = 1_760_000_000_000


def visits(count: int) -> list[traffic.Visit]:
    rng = random.Random(7)
    people = traffic.users(500, rng)
    return [traffic.visit(rng.choice(people), NOW, rng) for _ in range(count)]


def test_every_event_passes_the_real_schema() -> None:
    for visit in visits(300):
        assert 1 <= len(visit.events) <= traffic.MAX_BURST
        for event in visit.events:
            decoded = schema.decode_event(json.dumps(event).encode())
            assert decoded.id is not None
            assert decoded.id.version == 7
            assert decoded.user_id == visit.user.user_id
            assert (decoded.type == "purchase") == (decoded.amount is not None)


def test_the_mix_of_types_and_categories() -> None:
    events = [event for visit in visits(4_000) for event in visit.events]
    kinds = Counter(event["type"] for event in events)
    share = {kind: 100 * count / len(events) for kind, count in kinds.items()}
    for kind, wanted in traffic.TYPES.items():
        assert abs(share[kind] - wanted) < 1.5
    assert set(kinds) == {*traffic.TYPES, *traffic.CUSTOM_TYPES}
    assert {event["category"] for event in events} == set(traffic.CATEGORIES)


def test_times_rise_to_now_and_ids_are_unique_and_carry_their_time() -> None:
    everything = visits(500)
    for visit in everything:
        times = [event["ts"] for event in visit.events]
        assert times == sorted(times)
        assert times[-1] == NOW
        for event in visit.events:
            assert int(event["id"].replace("-", "")[:12], 16) == event["ts"]
    ids = [event["id"] for visit in everything for event in visit.events]
    assert len(ids) == len(set(ids))


def test_users_come_from_many_networks_with_all_device_kinds() -> None:
    people = traffic.users(5_000, random.Random(1))
    assert len({person.user_id for person in people}) == 5_000
    assert len({person.address.split(".")[0] for person in people}) >= 18
    systems = {parse(agent).os.family for agent in traffic.USER_AGENTS}  # type: ignore[union-attr]
    assert {"Windows", "Mac OS X", "iOS", "Android", "Linux"} <= systems


def test_the_same_seed_gives_the_same_users() -> None:
    assert traffic.users(50, random.Random(3)) == traffic.users(50, random.Random(3))


def test_the_rate_walks_slowly_and_stays_near_its_mean() -> None:
    walk = list(itertools.islice(traffic.rates(200, random.Random(5)), 20_000))
    assert 100 <= min(walk) < max(walk) <= 300
    assert max(abs(b / a - 1) for a, b in itertools.pairwise(walk)) < 0.2
    assert 150 < sum(walk) / len(walk) < 250
