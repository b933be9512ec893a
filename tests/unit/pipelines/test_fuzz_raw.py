"""What hostile clocks may do to the store of raw events: nothing."""

from events import batch
from pipelines.log_reader import LogSettings
from pipelines.raw import OLDEST_MS, StoreEvents
from pipelines.sources import ReadSettings
from tests.fuzz import arrow
from tests.fuzz.corpus import NOW
from tests.fuzz.mutate import MUTATIONS
from tests.fuzz.runner import generator
from tests.unit.pipelines.test_sources import FakeReader
from transforms.decode import Message

DAY_MS = 86_400_000


def test_events_of_all_years_fill_no_partitions() -> None:
    made = arrow.columns(generator(1, 1), 1_000)
    made["event_time"] = [NOW - n * DAY_MS for n in range(1_000)]
    made["dedup_key"] = list(range(0, 2_000, 2))
    message = Message(batch.encode("p", made), broker_ms=NOW, logged_ms=NOW)
    store = StoreEvents(ReadSettings(LogSettings("nowhere:1", "events")), "clickhouse://x")
    (found,) = store.batches(FakeReader(), [message])
    assert found.numbers.tolist() == list(range(OLDEST_MS // DAY_MS + 1))
    assert found.rows.num_rows == len(found.numbers)


def test_the_reader_of_raw_events_takes_whatever_the_log_holds() -> None:
    store = StoreEvents(ReadSettings(LogSettings("nowhere:1", "events")), "clickhouse://x")
    payloads = [arrow.message(generator(2, n)) for n in range(60)]
    payloads += [
        MUTATIONS[n % len(MUTATIONS)](generator(3, n), arrow.valid(generator(3, n), 3, "p"))
        for n in range(60)
    ]
    messages = [Message(payload, broker_ms=NOW, logged_ms=NOW) for payload in payloads]
    good = Message(arrow.valid(generator(4, 0), 5, "n"), broker_ms=NOW, logged_ms=NOW)
    found = store.batches(FakeReader(), [*messages, good])
    assert sum(part.rows.num_rows for part in found if part.project == "n") == 5
