"""Many greenlets, few round trips; each has its own answer, or its own failure."""

from typing import Any

import gevent
import pytest
import redis

from serving.rounds import MOST, Rounds


class Pipe:
    def __init__(self, server: "Server") -> None:
        self._server = server
        self._asked: list[Any] = []

    def execute_command(self, *command: Any) -> None:
        self._asked.append(command)

    def execute(self, *, raise_on_error: bool) -> list[Any]:
        assert not raise_on_error
        gevent.sleep(0.01)
        self._server.rounds.append(len(self._asked))
        if self._server.away:
            raise redis.ConnectionError("away")
        return [self._server.answer(*command) for command in self._asked]


class Server:
    """Says back what it is asked."""

    def __init__(self) -> None:
        self.rounds: list[int] = []
        self.away = False
        self.held: set[str] = set()

    def pipeline(self, *, transaction: bool) -> Pipe:
        assert not transaction
        return Pipe(self)

    def answer(self, *command: Any) -> Any:
        if command[0] == "SET":
            new = command[1] not in self.held
            self.held.add(command[1])
            return "OK" if new else None
        return redis.ResponseError("no") if command[1] == "bad" else command[3:]


def test_those_that_ask_together_share_a_round() -> None:
    server = Server()
    rounds = Rounds(server)
    asking = [gevent.spawn(rounds.eval, "script", 1, n) for n in range(MOST + 100)]
    gevent.joinall(asking)
    assert [one.value for one in asking] == [(n,) for n in range(MOST + 100)]
    assert sum(server.rounds) == MOST + 100
    assert len(server.rounds) <= 3
    assert max(server.rounds) <= MOST
    assert rounds.eval("script", 1, 7) == (7,)


def test_a_failure_is_its_own_and_an_outage_everybodys() -> None:
    server = Server()
    rounds = Rounds(server)
    good, bad = gevent.spawn(rounds.eval, "s", 1, 1), gevent.spawn(rounds.eval, "bad", 1, 1)
    gevent.joinall([good, bad])
    assert good.value == (1,)
    assert isinstance(bad.exception, redis.ResponseError)
    server.away = True
    asking = [gevent.spawn(rounds.eval, "s", 1, n) for n in range(5)]
    gevent.joinall(asking)
    assert all(isinstance(one.exception, redis.ConnectionError) for one in asking)
    server.away = False
    assert rounds.eval("s", 1, 1) == (1,)
    with pytest.raises(redis.ResponseError):
        rounds.eval("bad", 1)


def test_what_is_set_once_is_not_set_again() -> None:
    rounds = Rounds(Server())
    assert [rounds.set("a", 1, nx=True, ex=30) for _ in range(3)] == [True, False, False]
