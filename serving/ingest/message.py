"""The parts of many requests to the columns of one message."""

from collections.abc import Sequence
from itertools import chain

import pyarrow as pa
import pyarrow.compute  # here, since the first message would import it, for a second

from events import batch
from serving.ingest.rows import PLAIN, Part


def columns_of(parts: Sequence[Part]) -> list[pa.Array]:
    """The columns of `events.batch.SCHEMA`; all parts are of one project and partition.

    The rows of a part stand together. Parts that are tuples come first.
    """
    tuples = [part.rows for part in parts if isinstance(part.rows, list)]
    batches = [_turned(list(chain.from_iterable(tuples)))] if tuples else []
    batches += [part.rows for part in parts if not isinstance(part.rows, list)]
    if len(batches) > 1:
        batches = pa.Table.from_batches(batches).combine_chunks().to_batches()
    return [
        column.dictionary_encode() if pa.types.is_dictionary(field.type) else column
        for column, field in zip(batches[0].columns, batch.SCHEMA, strict=True)
    ]


def _turned(rows: Sequence[tuple[object, ...]]) -> pa.RecordBatch:
    """Tuples to columns."""
    values = zip(*rows, strict=True)
    made = [pa.array(v, kind) for v, kind in zip(values, PLAIN.types, strict=True)]
    return pa.RecordBatch.from_arrays(made, schema=PLAIN)
