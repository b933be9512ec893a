"""The audit of the ledger: differences become metrics."""

from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from serving.audit import SETTLED, Audit
from serving.ledger import Difference
from stores.contract import HOUR, StoreUnavailable
from stores.ledger import Balance
from stores.pane import MINUTE
from telemetry import metrics
from tests.unit.serving.stores import MemoryReader
from tests.unit.serving.test_ledger import Raw

NOW = 1_750_000_430.0
LAST = int(NOW - SETTLED) // MINUTE * MINUTE - MINUTE


class Book:
    def __init__(self, page: Balance) -> None:
        self.page = page
        self.asked: list[tuple[str, int, int]] = []
        self.away = False

    def balances(self, project: str, start: int, end: int) -> list[Balance]:
        if self.away:
            raise StoreUnavailable("away")
        self.asked.append((project, start, end))
        return [self.page]


def shown() -> dict[str, float]:
    text = generate_latest(metrics.SERVICE.registry).decode()
    return {
        sample.name.removeprefix("streamlens_service_"): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if "ledger" in sample.name and not sample.labels
    }


def test_what_balances_shows_zeros_and_what_does_not_shows_how_much() -> None:
    hot = MemoryReader()
    hot.put(LAST, rows=5)
    good = Balance(LAST, 5, 5, {}, {"counted": 5})
    book = Book(good)
    audit = Audit(book, hot, Raw(**{f"m{LAST}": 5}), ["a", "b"], lambda: NOW)
    assert audit.look()
    found = shown()
    assert found["ledger_differences"] == found["ledger_unexplained_events"] == 0
    assert found["ledger_compared_minutes"] > 0
    assert {project for project, _, _ in book.asked} == {"a", "b"}
    assert all(end - start == HOUR and end <= NOW - SETTLED for _, start, end in book.asked)

    book.page = Balance(LAST, 9, 7, {"event_malformed": 1}, {"counted": 5})
    hot.put(LAST, rows=4)
    assert audit.look()
    assert shown()["ledger_differences"] == 0  # may be a late event that one path has first
    assert audit.look()
    assert audit.standing("a") == {Difference(LAST, "rows", 4, 5)}
    found = shown()
    assert found["ledger_unexplained_events"] == 2  # one in each of two projects
    assert found["ledger_stuck_events"] == 4
    assert found["ledger_differences"] == 2

    hot.put(LAST, rows=5)
    assert audit.look()
    assert shown()["ledger_differences"] == 0

    book.away = True
    assert not audit.look()
    assert shown()["ledger_stuck_events"] == 4
