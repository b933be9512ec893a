"""What every store must do, whatever it is made of: one suite, run by each store's own tests.

class TestClickHouse(StoreContract):
    @pytest.fixture
    def subject(self, …) -> Subject: …
"""

import random
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from events import sketch
from stores.contract import DAY, HAS_FINAL, HAS_PARTIAL, HAS_REVISED, HOUR, Slice, edges
from stores.pane import (
    DIMENSIONS,
    FINAL,
    GROUPING_SETS,
    MEASURES,
    MINUTE,
    PARTIAL,
    REVISED,
    SKETCHED,
    Grouping,
    Pane,
)
from tests.integration.store_model import Model

ODD = (
    "",
    "-",
    "a,b",
    "it's",
    'say "x"',
    "back\\slash",
    "\\'",
    "tab\tnew\nline",
    "%2C",
    "{p}",
    "é🙂",
)
VALUES = {
    "country": ("DE", "US", "ZZ", "FR"),
    "device": ("desktop", "mobile", "bot"),
    "category": ("", "shoes", *ODD[1:]),
}
ZONES = ("Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe")


@dataclass
class Subject:
    """A store under test, and the days it may be asked about."""

    store: Any  # Reader with `write`
    start: int  # epoch seconds, a whole hour
    hours: int  # from there on anything may be written
    settle: Callable[[], None] = lambda: None  # called after writing: whatever lags catches up

    @property
    def end(self) -> int:
        return self.start + self.hours * HOUR


def pane(
    start: int,
    rows: int,
    *,
    project: str,
    grouping: Grouping = (),
    values: tuple[str, ...] = (),
    status: int = FINAL,
    users: Sequence[str] = (),
) -> Pane:
    """One series with `rows` page views."""
    measures = np.zeros((1, len(MEASURES)), np.int64)
    measures[0, :2] = rows
    hashes = np.array([sketch.user_hash(user) for user in users], np.uint64)
    return Pane(
        project, grouping, start, MINUTE, status, [values], measures, sketch.from_hashes(hashes)
    )


def history(rng: random.Random, subject: Subject, project: str) -> list[Pane]:
    """The panes of some minutes of all grouping sets, as a pipeline fires them: values grow."""
    panes: list[Pane] = []
    for minute in _minutes(rng, subject):
        for grouping in sorted({*rng.sample(GROUPING_SETS, 4), ()}):
            panes += _firings(rng, project, grouping, minute)
    return panes


def asks(rng: random.Random, subject: Subject, project: str) -> Iterator[Slice]:
    """Questions of every grouping set over every kind of steps."""
    for steps in _steps(rng, subject):
        for grouping in GROUPING_SETS:
            where, by = [], []
            for name in grouping:
                choice = rng.choice(("where", "by", "both"))
                if choice != "by":
                    some = rng.sample(VALUES[name], rng.randint(1, 3))
                    where.append((name, tuple(some)))
                if choice != "where":
                    by.append(name)
            yield Slice(project, grouping, steps, tuple(where), tuple(by))


class StoreContract:
    """Subclasses override the fixture `subject`. Every test uses projects of its own."""

    @pytest.fixture
    def subject(self) -> Subject:
        raise NotImplementedError

    @pytest.fixture
    def project(self) -> str:
        return f"it's {uuid.uuid4()}"

    @pytest.mark.parametrize("seed", range(4))
    def test_any_order_duplication_and_batching(
        self, subject: Subject, project: str, seed: int
    ) -> None:
        rng = random.Random(seed)
        model = Model()
        panes = history(rng, subject, project) + history(rng, subject, f"{project}!")
        model.write(panes)
        shuffled = panes + rng.choices(panes, k=len(panes) // 2)
        rng.shuffle(shuffled)
        for batch in np.array_split(np.arange(len(shuffled)), 6):
            subject.store.write([shuffled[i] for i in batch])
        subject.settle()
        for ask in asks(rng, subject, project):
            same_counts(subject.store, model, ask)
            same_users(subject.store, model, ask)
        for steps in _steps(rng, subject):
            found = subject.store.completeness(project, steps)
            assert found.tolist() == model.completeness(project, steps).tolist()

    def test_late_revisions_reach_every_step(self, subject: Subject, project: str) -> None:
        at = subject.start + 5 * MINUTE
        ask = [
            Slice(project, (), edges(subject.start, subject.end, step)) for step in (HOUR, DAY, 0)
        ]
        for rows, status in ((3, FINAL), (5, REVISED), (4, REVISED), (9, REVISED)):
            subject.store.write([pane(at, rows, project=project, status=status)])
            subject.settle()
            expected = max(rows, 5) if rows > 3 else rows
            for each in ask:
                assert int(subject.store.counts(each).measures[0, 0, 0]) == expected
        assert subject.store.completeness(project, ask[0].edges)[0] == HAS_REVISED

    def test_larger_count_wins_inside_one_call(self, subject: Subject, project: str) -> None:
        at = subject.start
        panes = [
            pane(at, rows, project=project, status=status)
            for rows, status in ((3, PARTIAL), (7, FINAL), (7, REVISED), (5, PARTIAL))
        ]
        panes.append(pane(at + MINUTE, 2, project=project, status=PARTIAL))
        subject.store.write(panes)
        found = subject.store.counts(Slice(project, (), (at, at + MINUTE, at + 2 * MINUTE)))
        assert found.measures[0, :, 0].tolist() == [7, 2]
        steps = (at, at + MINUTE, at + 2 * MINUTE, at + 3 * MINUTE)
        assert subject.store.completeness(project, steps).tolist() == [HAS_FINAL, HAS_PARTIAL, 0]
        both = subject.store.completeness(project, (at, at + 2 * MINUTE))
        assert both.tolist() == [HAS_FINAL | HAS_PARTIAL]

    def test_values_may_hold_anything(self, subject: Subject, project: str) -> None:
        at, grouping = subject.start, ("category",)
        subject.store.write(
            [
                pane(at, i + 1, project=project, grouping=grouping, values=(value,), users=[value])
                for i, value in enumerate(ODD)
            ]
        )
        subject.settle()
        whole = (at, at + HOUR)
        found = subject.store.counts(Slice(project, grouping, whole, by=grouping))
        rows = {series[0]: int(found.measures[i, 0, 0]) for i, series in enumerate(found.series)}
        assert rows == {value: i + 1 for i, value in enumerate(ODD)}
        for i, value in enumerate(ODD):
            ask = Slice(project, grouping, whole, (("category", (value,)),))
            assert subject.store.counts(ask).measures[:, 0, 0].tolist() == [i + 1], value
            (users,) = subject.store.users(ask).values()
            assert users.tolist() == _user(value), value
        several = Slice(project, grouping, whole, (("category", ODD[:4]),))
        assert subject.store.counts(several).measures[:, 0, 0].tolist() == [10]

    def test_nothing_is_there(self, subject: Subject, project: str) -> None:
        steps = edges(subject.start, subject.end, HOUR)
        for ask in (
            Slice(project, (), steps),
            Slice(project, ("country",), steps, by=("country",)),
            Slice(project, ("country",), steps, (("country", ("DE",)),)),
        ):
            found = subject.store.counts(ask)
            assert found.series == []
            assert found.measures.shape == (0, len(steps) - 1, len(MEASURES))
            assert not subject.store.users(ask)
        assert not subject.store.completeness(project, steps).any()

    def test_only_kept_unions_are_given(self, subject: Subject, project: str) -> None:
        at = subject.start
        for grouping, until in ((("country",), at + MINUTE), (("country", "device"), at + HOUR)):
            with pytest.raises(ValueError, match="union"):
                subject.store.users(Slice(project, grouping, (at, until), by=grouping))


def same_counts(store: Any, model: Model, ask: Slice) -> None:
    """Raises AssertionError unless both answer alike, in any order of series."""
    answers = []
    for reader in (store, model):
        found = reader.counts(ask)
        assert found.measures.dtype == np.int64
        assert len(set(found.series)) == len(found.series)
        answers.append({name: found.measures[i].tolist() for i, name in enumerate(found.series)})
    assert answers[0] == answers[1], ask


def same_users(store: Any, model: Model, ask: Slice) -> None:
    """The same for unions, register by register."""
    if not ask.has_users:
        return
    answers = [
        {key: entries.tolist() for key, entries in reader.users(ask).items() if len(entries)}
        for reader in (store, model)
    ]
    assert answers[0] == answers[1], ask


def _minutes(rng: random.Random, subject: Subject) -> list[int]:
    """Minutes around the turns of hours and days, and anywhere."""
    turns = [subject.start + rng.randrange(1, subject.hours) * HOUR for _ in range(2)]
    turns += range((subject.start // DAY + 1) * DAY, subject.end, DAY)
    near = [turn + rng.choice((-1, 0, 1)) * MINUTE for turn in turns]
    anywhere = [subject.start + rng.randrange(subject.hours * 60) * MINUTE for _ in range(3)]
    return sorted({*near, *anywhere})


def _firings(rng: random.Random, project: str, grouping: Grouping, minute: int) -> list[Pane]:
    statuses = [PARTIAL] * rng.randint(0, 2) + [FINAL] + [REVISED] * rng.randint(0, 2)
    series: list[tuple[str, ...]] = []
    measures: NDArray[np.int64] = np.zeros((0, len(MEASURES)), np.int64)
    users = sketch.from_hashes(np.empty(0, np.uint64))
    panes = []
    for status in statuses:
        for _ in range(rng.randint(0 if series else 1, 3)):
            values = tuple(rng.choice(VALUES[name]) for name in grouping)
            if values not in series:
                series = [*series, values]
                measures = np.concatenate([measures, np.zeros((1, len(MEASURES)), np.int64)])
            more = np.array([0] + [rng.randrange(40) for _ in MEASURES[1:]])
            more[0] = more[1:6].sum() + 1
            more[6] *= 10 ** rng.randrange(12)
            measures = measures.copy()
            measures[series.index(values)] += more
            if grouping in SKETCHED:
                count = rng.choice((1, 3, 30, 700))
                hashes = np.array([rng.getrandbits(64) for _ in range(count)], np.uint64)
                fresh = sketch.from_hashes(hashes, series.index(values))
                users = sketch.merge([users, fresh])
        panes.append(Pane(project, grouping, minute, MINUTE, status, series, measures, users))
    return panes


def _steps(rng: random.Random, subject: Subject) -> Iterator[tuple[int, ...]]:
    first, last = subject.start, subject.end
    odd = (first + rng.randrange(90) * MINUTE, last - rng.randrange(90) * MINUTE)
    yield edges(first, last, HOUR)
    yield edges(*odd, HOUR)
    yield edges(first, last, 0)
    yield edges(*odd, 0)
    yield edges(first, last, DAY)
    yield edges(*odd, DAY)
    yield edges(first, last, DAY, rng.choice(ZONES))
    yield edges(*odd, DAY, rng.choice(ZONES))
    near = first + rng.randrange(subject.hours - 3) * HOUR
    yield edges(near, near + 3 * HOUR, MINUTE)
    yield edges(*odd, 5 * MINUTE)


def _user(name: str) -> list[int]:
    found: list[int] = sketch.from_hashes(np.array([sketch.user_hash(name)], np.uint64)).tolist()
    return found


assert set(VALUES) == set(DIMENSIONS)
