"""The command, without a broker: options, what it writes, and what it says."""

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from events import letters
from pipelines import recount, replay, sources
from pipelines.log_reader import LogSettings
from pipelines.replay import Result
from pipelines.verdicts import BEFORE, COUNTED, GONE, MARGIN_MS, OLD, OPEN, Bounds, Case, Choice
from stores.contract import Counts, Slice, StoreUnavailable
from stores.pane import Pane
from tests.unit.pipelines.lines import MINUTE, NOW, message
from transforms.decode import Ints, Message, decode


@pytest.mark.parametrize(
    ("argument", "said"),
    [("--sicne=2026-01-01T00:00:00+00:00", "--sicne"), ("--currency=usd", "ISO 4217")],
)
def test_a_wrong_option_is_one_line(
    argument: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert replay.main([argument]) == replay.WRONG
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_its_help_names_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        replay.main(["--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    for name in ("--since", "--until", "--reason", "--project", "--partition", "--dry_run"):
        assert name in shown


def test_the_table_sums_by_reason_and_says_what_it_means() -> None:
    cases = [Case("message_empty", None, 1), Case("message_empty", None, 1, COUNTED)]
    shown = replay.table(replay.Result(cases, 2, 10, 1, 5), dry_run=False)
    assert "message_empty                        2         1" in shown
    assert "gone: the original is no longer in the log." in shown
    assert "5 events added, in 1 minutes counted again from 10 messages." in shown
    assert "2 messages on the topic are no letters" in shown
    assert replay.Result(cases).code == replay.LEFT
    assert replay.Result(cases[1:]).code == replay.DONE


class Held:
    """A store in memory, hot and cold alike: larger count wins. It may go away."""

    name = "memory"

    def __init__(self) -> None:
        self.panes: dict[tuple[str, tuple[str, ...], int], Pane] = {}
        self.writes_left = 10**9

    def write(self, panes: Sequence[Pane]) -> int:
        for pane in panes:
            if not self.writes_left:
                raise StoreUnavailable("killed")
            self.writes_left -= 1
            key = (pane.project, pane.grouping, pane.start)
            if key not in self.panes or self.panes[key].rows < pane.rows:
                self.panes[key] = pane
        return len(panes)

    def rows(self, grouping: tuple[str, ...] = ()) -> dict[int, int]:
        found = self.panes.items()
        return {start: pane.rows for (_, name, start), pane in found if name == grouping}

    def series(self, project: str, _: Any, __: Any, start: int, end: int) -> Ints:
        held = self.panes.get((project, (), start))
        return np.full((1, 7), held.rows if held else 0)

    def counts(self, ask: Slice) -> Counts:
        return Counts([()], self.series(ask.project, (), (), ask.start, ask.end)[None])

    def close(self) -> None:
        """Nothing to let go."""


class Broker:
    """Two topics in memory: `events`, partition 3, and `dead`, partition 0, as the job left it."""

    def __init__(self, *held: Message) -> None:
        dead = [letter for each in held for letter in decode(each).dead]
        self.logs = {
            ("events", 3): list(held),
            ("dead", 0): [
                Message(letters.encode(letter.letter(NOW)), None, None, "dead", 0, i, NOW)
                for i, letter in enumerate([*dead, *dead])  # the job read it twice
            ],
        }

    def spans_of(self, log: LogSettings) -> dict[int, tuple[int, int]]:
        return {p: (0, len(held)) for (topic, p), held in self.logs.items() if topic == log.topic}

    def read_range(
        self, log: LogSettings, partition: int, *, since_ms: int, before: int
    ) -> Iterator[Message]:
        yield from self.logs[log.topic, partition][:before]

    def read_offsets(
        self, log: LogSettings, partition: int, offsets: Iterable[int], before: int
    ) -> Iterator[Message]:
        yield from (self.logs[log.topic, partition][offset] for offset in offsets)


def _line(ts: int, *, named: bool) -> bytes:
    name = b',"project":"p"' if named else b""
    return b'{"type":"click","user_id":"u","ts":%d%s}' % (ts, name)


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    """Lines of three minutes, half of which name no project: the fix is a project for those."""
    held = [
        message(
            *(_line(NOW + minute * 60_000 + i, named=i % 2 == 0) for i in range(10)),
            offset=minute,
            broker_ms=NOW + minute * 60_000 + 5_000,
        )
        for minute in range(3)
    ]
    made = Broker(*held)
    for name in ("spans_of", "read_range", "read_offsets"):
        monkeypatch.setattr(replay, name, getattr(made, name))
    monkeypatch.setattr(recount, "read_range", made.read_range)
    return made


def _run(hot: Held, cold: Held, counted_ms: int = 1 << 60, *, dry_run: bool = False) -> Result:
    log = LogSettings("nowhere:1", "events")
    read = sources.ReadSettings(log, allowed_lateness=600, project="p")
    stores = replay.Stores(hot, cold, None)  # type: ignore[arg-type]
    bounds = Bounds(0, 0, counted_ms, 600_000)
    return replay.replay(
        read, replace(log, topic="dead"), Choice(), stores, lambda _: bounds,
        dry_run=dry_run, now=NOW / 1000,
    )  # fmt: skip


def _ends(result: Result) -> dict[str, int]:
    return dict(Counter(case.outcome for case in result.cases))


ALL = {MINUTE: 10, MINUTE + 60: 10, MINUTE + 120: 10}


def test_each_dead_line_is_counted_once_however_often_it_runs(broker: Broker) -> None:
    hot, cold = Held(), Held()
    assert _ends(_run(hot, cold, dry_run=True)) == {COUNTED: 15}
    assert not hot.panes
    first = _run(hot, cold)
    assert (_ends(first), first.code, first.minutes) == ({COUNTED: 15}, replay.DONE, 3)
    again = _run(hot, cold)
    assert (_ends(again), again.code, again.events) == ({BEFORE: 15}, replay.DONE, 0)
    assert hot.rows() == cold.rows() == ALL
    assert sum(hot.rows(("outcome",)).values()) == 30
    assert cold.rows(("outcome",)) == {}


@settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.integers(0, 60), max_size=4), st.booleans())
def test_killed_at_any_write_it_ends_in_the_same_numbers(
    broker: Broker, kills: list[int], hot_first: bool
) -> None:
    hot, cold = Held(), Held()
    for writes in kills:
        (hot if hot_first else cold).writes_left = writes
        with contextlib.suppress(StoreUnavailable):
            _run(hot, cold)
    hot.writes_left = cold.writes_left = 10**9
    _run(hot, cold)
    assert hot.rows() == cold.rows() == ALL
    assert sum(hot.rows(("outcome",)).values()) == 30


def test_minutes_that_a_job_can_still_change_are_left_to_it(broker: Broker) -> None:
    hot, cold = Held(), Held()
    result = _run(hot, cold, counted_ms=NOW + 120_000 + 600_000 + MARGIN_MS)
    assert (_ends(result), result.code) == ({COUNTED: 10, OPEN: 5}, replay.LEFT)
    assert hot.rows() == {MINUTE: 10, MINUTE + 60: 10}


def test_of_what_is_deleted_from_the_log_nothing_is_counted(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        replay, "spans_of", lambda log: {3: (1, 3)} if log.topic == "events" else {0: (0, 30)}
    )
    monkeypatch.setattr(replay, "beginning", lambda *_: NOW)
    assert _ends(_run(Held(), Held())) == {GONE: 5, COUNTED: 10}


def test_a_store_that_has_more_than_the_log_is_left_as_it_is(broker: Broker) -> None:
    hot, cold = Held(), Held()
    _run(hot, cold)
    for store in (hot, cold):
        old = store.panes["p", (), MINUTE]
        store.panes["p", (), MINUTE] = replace(old, measures=old.measures + 1)
    assert _ends(_run(hot, cold)) == {OLD: 5, BEFORE: 10}
    assert hot.rows()[MINUTE] == 11


def test_more_minutes_than_memory_has_room_for_are_refused(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "MAX_MINUTES", 2)
    hot = Held()
    with pytest.raises(ValueError, match="3 minutes at once, over 2: choose with --since"):
        _run(hot, Held())
    assert not hot.panes
