"""The judge's own counting, against the product's; and that the sender's dice are fair."""

import json
import random
import uuid

import numpy as np
import pyarrow as pa
import pytest

from events import batch as codec
from events.agent import classify
from serving.ingest.message import columns_of
from serving.ingest.reader import Reader
from serving.ingest.rows import Sender, make_parts
from serving.projects import DEMO
from stores.pane import GROUPING_SETS, MINUTE
from tests.chaos import faults
from tests.chaos.batches import BOT, Batch, Countries, make
from tests.chaos.record import Record, arrived
from tests.chaos.truth import Truth
from transforms.aggregate import Cells
from transforms.cube import UNIT

NOW = 1_790_000_000_000


@pytest.fixture(scope="module")
def batches() -> list[Batch]:
    rng, countries = random.Random(5), Countries(None)
    return [make(rng, NOW + 100 * i, countries) for i in range(400)]


def _rows(batch: Batch) -> list[pa.RecordBatch]:
    read = Reader(DEMO).read(batch.body)
    assert {one.index for one in read.rejected} == batch.refused
    assert len(read.events) == len(batch.events)
    sender = Sender(NOW, "ZZ", classify(batch.headers["User-Agent"]))
    parts = make_parts(read, DEMO, sender, 8).values()
    made = [columns_of([part]) for part in parts]
    return [pa.RecordBatch.from_arrays(one, schema=codec.SCHEMA) for one in made]


def test_the_truth_is_what_the_pipeline_counts(batches: list[Batch]) -> None:

    rows = [part for batch in batches for part in _rows(batch)]
    table = pa.Table.from_batches(rows).unify_dictionaries()
    truth = Truth(event for batch in batches for event in batch.events)
    start, end = truth.minutes[0], truth.minutes[-1] + MINUTE
    said = {
        (part.grouping, tuple(name.split(UNIT)) if part.grouping else (), part.start): measures
        for part in Cells(table).minutes()
        for name, measures in zip(part.cube.names, part.cube.measures, strict=True)
    }
    true = {
        (grouping, values, start + step * MINUTE): series[step]
        for grouping in GROUPING_SETS
        for values, series in truth.series(grouping, start, end).items()
        for step in np.flatnonzero(series[:, 0]).tolist()
    }
    assert said.keys() == true.keys()
    assert all(np.array_equal(said[key], true[key]) for key in said)


def test_the_traffic_has_everything(batches: list[Batch]) -> None:
    events = [event for batch in batches for event in batch.events]
    assert len({event.id for event in events}) == len(events)
    assert any(event.bot for event in events)
    assert any(event.revenue for event in events)
    assert any(batch.refused for batch in batches)
    assert any(batch.headers["User-Agent"] == BOT for batch in batches)
    assert any(event.minute * 1000 < NOW - 180_000 for event in events)
    named = ["batch_id" in json.loads(batch.body) for batch in batches]
    assert 0.8 < sum(named) / len(named) < 1


def test_an_event_without_an_answer_counts_when_it_is_stored(batches: list[Batch]) -> None:
    record = Record()
    sure, unsure = [batch for batch in batches if len(batch.events) > 1][:2]
    record.begins(sure)
    record.begins(unsure)
    record.acknowledge(sure)
    stored = {unsure.events[0].id, uuid.uuid4().bytes}
    assert arrived(record.standing(), stored) == [*sure.events, unsure.events[0]]
    assert record.counts()["unknown"] == len(unsure.events)


def test_every_fault_comes_before_any_comes_again() -> None:
    kinds = list(faults.KINDS)
    found = faults.order(kinds, 2 * len(kinds) + 3, seed=4)
    assert sorted(found[: len(kinds)]) == sorted(kinds)
    assert sorted(found[len(kinds) : 2 * len(kinds)]) == sorted(kinds)
    assert found == faults.order(kinds, 2 * len(kinds) + 3, seed=4)
    assert found[: len(kinds)] != faults.order(kinds, len(kinds), seed=5)
