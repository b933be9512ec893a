"""The breaker, by a clock that the test holds."""

import pytest

from events.reasons import MESSAGE_REASONS
from pipelines import breaker, main
from pipelines.breaker import LEAST, SLOTS, SPAN, Breaker, Limit, TooManyDead
from telemetry import metrics
from transforms.decode import Message, decode

GOOD = b'{"type":"click","user_id":"u","ts":1700000000000}'
BAD = b"\x00"
HALF = Limit(0.5, "dead-here")


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def read(one: Breaker, payload: bytes, times: int = 1, offset: int = 0) -> None:
    for i in range(times):
        message = Message(payload, project="p", topic="events", partition=2, offset=offset + i)
        one.note(decode(message), [message])


def test_a_few_bad_messages_in_a_quiet_night_stop_nothing(clock: Clock) -> None:
    one = Breaker(HALF, clock)
    read(one, BAD, LEAST - 1)
    one.check()


def test_many_bad_ones_among_more_good_ones_stop_nothing(clock: Clock) -> None:
    one = Breaker(HALF, clock)
    read(one, BAD, 10 * LEAST)
    read(one, GOOD, 10 * LEAST)
    one.check()


def test_above_the_limit_it_says_all_that_one_needs(clock: Clock) -> None:
    one = Breaker(HALF, clock)
    before = metrics.JOB_TRIPS.of()._value.get()
    read(one, GOOD, 10)
    read(one, BAD, LEAST, offset=40)
    read(one, b"", 3)
    with pytest.raises(TooManyDead) as caught:
        one.check()
    said = breaker.told(f"RuntimeError: {caught.value} [while running 'Source/Read'] \n at …")
    assert said is not None
    for part in (
        "84% of the last 63 messages",
        f"({LEAST + 3} in {SPAN} s; --dead_letter_limit=0.5)",
        f"message_undecodable {LEAST}, message_empty 3",
        "the first is at events/2/40",
        "topic dead-here",
        "python -m pipelines.replay after the fix.",
    ):
        assert part in said
    assert metrics.JOB_TRIPS.of()._value.get() == before + 1
    one.check()  # begins anew: whoever goes on reads it all again


def test_what_is_older_than_the_span_is_forgotten_and_state_is_bounded(clock: Clock) -> None:
    one = Breaker(HALF, clock)
    for _ in range(20 * SLOTS):
        read(one, BAD, 1)
        clock.now += SPAN / (LEAST - 10)
        one.check()  # never LEAST of them within the span
    assert len(one._slots) <= SLOTS
    assert all(set(slot.reasons) <= set(MESSAGE_REASONS) for slot in one._slots)


def test_a_message_weighs_as_much_as_the_share_of_its_lines_that_died(clock: Clock) -> None:
    one = Breaker(Limit(0.3), clock)
    message = b"\n".join([b"{bad", GOOD, GOOD, GOOD])
    read(one, message, 10 * LEAST)
    one.check()
    assert metrics.JOB_DEAD_SHARE.of()._value.get() == 0.25
    read(one, b"\n".join([b"{bad"] * 3_000), LEAST)
    with pytest.raises(TooManyDead):
        Breaker.check(_with(one, 0.25))


def _with(one: Breaker, share: float) -> Breaker:
    one._limit = Limit(share)
    return one


def test_switched_off_it_never_trips(clock: Clock) -> None:
    one = Breaker(breaker.OFF, clock)
    read(one, BAD, 10 * LEAST)
    one.check()


def test_another_error_is_none_of_its_own() -> None:
    assert breaker.told("RuntimeError: a write failed") is None


@pytest.mark.parametrize(("given", "share"), [("0.25", 0.25), ("off", 1.0), ("1", 1.0)])
def test_the_option(given: str, share: float) -> None:
    assert main.parse([f"--dead_letter_limit={given}"]).limit == Limit(share)


@pytest.mark.parametrize("given", ["0", "2", "-1", "half"])
def test_an_option_that_cannot_be(given: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main.parse([f"--dead_letter_limit={given}"])
    assert "dead_letter_limit" in capsys.readouterr().err
