"""Places of open connections: never more than there are, and all come back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from serving.places import Places, Seat

NAMES = st.sampled_from("abc")


def test_one_name_does_not_cost_another():
    places = Places("max_sockets_per_ip", 2)
    assert [places.acquire("a") for _ in range(3)] == [True, True, False]
    assert places.acquire("b")
    places.release("a")
    assert places.acquire("a")


def test_none_is_any_number():
    places = Places("max_sockets_per_ip", 0)
    assert all(places.acquire("a") for _ in range(1_000))
    assert places.taken("a") == 1_000


def test_what_was_not_taken_cannot_be_given_back():
    with pytest.raises(KeyError):
        Places("max_sockets_per_ip", 1).release("a")


@given(st.lists(st.tuples(NAMES, st.booleans())))
def test_a_seat_that_has_left_holds_nothing(steps):
    places, seat = Places("max_sockets_per_ip", 1), Seat()
    assert places.acquire("c")  # somebody else's
    for name, leaves in steps:
        before = places.taken("a") + places.taken("b")
        if leaves:
            seat.leave()
        elif not seat.take(places, name):
            assert name == "c"
            assert places.taken("a") + places.taken("b") == before
        assert places.taken("a") + places.taken("b") <= 1
    seat.leave()
    seat.leave()
    assert (len(places), places.taken("c")) == (1, 1)


class Crowd(RuleBasedStateMachine):
    """Connections that come, say keys and go in any order, against a count of them."""

    def __init__(self) -> None:
        super().__init__()
        self.by_ip, self.by_key = Places("max_sockets_per_ip", 3), Places("max_sockets_per_key", 2)
        self.seats: list[tuple[Seat, dict[str, str]]] = []

    @rule(ip=NAMES, key=st.none() | NAMES)
    def come(self, ip: str, key: str | None) -> None:
        seat, held = Seat(), {"ip": ip}
        if not seat.take(self.by_ip, ip):
            return
        if key is not None and not seat.take(self.by_key, key):
            seat.leave()
            return
        self.seats.append((seat, held if key is None else held | {"key": key}))

    @rule(at=st.integers(0, 9), key=NAMES)
    def say(self, at: int, key: str) -> None:
        if self.seats:
            seat, held = self.seats[at % len(self.seats)]
            if seat.take(self.by_key, key):
                held["key"] = key

    @rule(at=st.integers(0, 9))
    def go(self, at: int) -> None:
        if self.seats:
            self.seats.pop(at % len(self.seats))[0].leave()

    @invariant()
    def places_are_those_of_the_open(self) -> None:
        for places, kind in ((self.by_ip, "ip"), (self.by_key, "key")):
            for name in "abc":
                wanted = sum(held.get(kind) == name for _, held in self.seats)
                assert places.taken(name) == wanted <= places.most
            assert len(places) == len({held[kind] for _, held in self.seats if kind in held})


TestCrowd = Crowd.TestCase
