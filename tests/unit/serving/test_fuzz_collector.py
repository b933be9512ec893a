"""Hostile requests to the collector in process: a short seeded run, and what such runs found."""

import json
import random
import time
from collections.abc import Iterable

import pytest

from events import address, schema
from tests.fuzz.collector import CollectorTarget
from tests.fuzz.mutate import bomb, mutate, zipped
from tests.fuzz.report import Report, Violation
from tests.fuzz.runner import Stopped, generator, run
from tests.unit.serving.client import KEY, Client, event, events
from tests.unit.serving.test_collector import post
from tests.unit.serving.test_collector import run as wait

EMOJI_CUT = b'{"type":"click","user_id":"a\\ud83d","ts":1750000000000}'


def test_ten_thousand_requests_break_nothing():
    with CollectorTarget() as target:
        report = run(Report("collector", 4, 10_000), target.case, clock=time.thread_time)
    assert report.outcomes["accepted"] > 1_000
    assert len(report.outcomes) > 20
    assert report.rss_mb[100] - report.rss_mb[50] < 20


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_hundred_thousand_requests_break_nothing():
    with CollectorTarget() as target:
        report = run(Report("collector", 5, 200_000), target.case, clock=time.thread_time)
    assert report.rss_mb[100] - report.rss_mb[50] < 20


def test_a_case_is_the_same_whatever_ran_before_it():
    def bodies(order: Iterable[int]) -> dict[int, bytes]:
        return {index: mutate(generator(3, index), b'{"a":1}' * 9) for index in order}

    assert bodies(range(50)) == bodies(reversed(range(50)))
    assert zipped(generator(3, 1), b"{}") == zipped(generator(3, 1), b"{}")
    assert len(bomb(5_000_000)) < 10_000


def test_a_violation_stops_the_run_and_says_how_to_see_it_again():
    def case(rng: random.Random, index: int) -> str:
        if index == 7:
            raise Violation("seven", b"\xff")
        return "fine"

    with pytest.raises(Stopped, match="--seed 1 --only 7") as stopped:
        run(Report("collector", 1, 20), case)
    assert (stopped.value.report.done, stopped.value.error.data) == (7, b"\xff")


def test_many_parameters_beside_the_key_are_no_fault_of_ours():
    answer = post(events(event()), headers={"X-Write-Key": ""}, query="a=1&" * 30 + f"key={KEY}")
    assert answer.code == "write_key_missing"


def test_half_a_surrogate_pair_costs_its_neighbours_nothing():
    client = Client()
    body = b'{"events":[%s,%s,%s]}' % (json.dumps(event()).encode(), EMOJI_CUT, EMOJI_CUT)
    assert post(body, client).json == {"accepted": 3, "rejected": []}
    assert {row["user_id"] for row in client.broker.rows()} == {"u1", "a\ufffd"}


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (rb"\ud83d\ude00", "😀"),
        (rb"\ude00\ud83d", "\ufffd\ufffd"),
        (rb"\ud83d\ud83d\ude00", "\ufffd😀"),
        (rb"\\ud83d", "\\ud83d"),
        (rb"\\\ud83d!", "\\\ufffd!"),
        (rb"\uD800\u0041\n", "\ufffdA\n"),
    ],
)
def test_only_halves_are_replaced(sent, read):
    body = b'{"events":[],"batch_id":"%s","x":"\\udead"}' % sent
    assert schema.decode_request(body).batch_id == read


def test_replacing_them_takes_no_time():
    body = b'{"events":["' + rb"\ud800\\" * 124_000 + b'"]}'
    began = time.thread_time()
    assert len(schema.decode_request(body).events) == 1
    assert time.thread_time() - began < 1


def test_what_is_too_long_for_an_address_is_not_remembered():
    address.parse.cache_clear()
    client = Client()
    for n in range(20):
        wait(client.post(events(event()), headers={"X-Forwarded-For": f"{n}" + "1" * 60_000}))
    assert address.parse.cache_info().currsize == 1  # the peer's own
