"""Readiness of the service: history is asked seldom, and never waited for long."""

import threading

import pytest

from serving import readiness
from serving.app import create_app
from serving.projects import Projects
from serving.readiness import History
from serving.settings import Settings
from stores import layout
from stores.contract import StoreUnavailable
from tests.unit.serving.stores import MemoryReader


class Probed(MemoryReader):
    """History that may be away or silent, and counts how often it is asked."""

    def __init__(self, name: str = "clickhouse") -> None:
        super().__init__(name)
        self.probes = 0
        self.gone = False
        self.go = threading.Event()
        self.go.set()

    def completeness(self, project, edges):
        self.probes += 1
        self.go.wait(20)
        if self.gone:
            raise StoreUnavailable("restarts")
        return super().completeness(project, edges)


def test_up_and_down_and_up_again() -> None:
    now = [0.0]
    store = Probed()
    history = History(store, lambda: now[0])
    assert [history.state() for _ in range(5)] == ["up"] * 5
    assert store.probes == 1
    store.gone = True
    assert history.state() == "up"  # as of a moment ago
    now[0] += readiness.KEEP
    assert [history.state(), history.state()] == ["down", "down"]
    store.gone = False
    now[0] += readiness.KEEP
    assert history.state() == "up"
    assert store.probes == 3


def test_one_that_does_not_answer_is_down_and_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "PATIENCE", 0.01)
    store = Probed()
    store.go.clear()
    history = History(store)
    assert [history.state() for _ in range(3)] == ["down"] * 3
    assert store.probes == 1
    store.go.set()
    monkeypatch.setattr(readiness, "PATIENCE", 20)
    assert history.state() == "up"


def test_without_history_and_with_one_that_bills_questions() -> None:
    store = Probed("bigquery")
    assert History(None).state() == "none"
    assert History(store).state() == "unknown"
    assert store.probes == 0


class Heart:
    """Redis with a job that stopped by itself, or did not."""

    def __init__(self, held: dict[str, str]) -> None:
        self._held = held

    def ping(self) -> bool:
        return True

    def get(self, key: str) -> str | None:
        return self._held.get(key)

    def register_script(self, _: str) -> None:
        """Not asked for."""


@pytest.mark.parametrize(("seen", "said"), [("1010", "degraded"), ("1031", "ready")])
def test_a_job_that_stopped_by_itself_is_told_until_it_lives_again(seen: str, said: str) -> None:
    heart = Heart({layout.STOPPED: '[1000, "too many dead letters"]', layout.SEEN: seen})
    client = create_app(Settings(), heart, Projects.load(None)).test_client()
    answer = client.get("/readyz")
    assert answer.status_code == 200
    told: dict[str, str] = answer.get_json()
    assert told["status"] == said
    assert told.get("job") == ("too many dead letters" if said == "degraded" else None)
