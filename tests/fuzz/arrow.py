"""Arrow messages that our encoder would not make: well-formed, and wrong in what they say."""

import random
from collections.abc import Callable
from typing import Any, Final

import pyarrow as pa

from events import batch, sketch
from tests.fuzz.corpus import NOW

Columns = dict[str, list[Any]]
_TEXT: Final = batch.SCHEMA.field("type").type

TEXTS: Final = (
    "",
    "a b",
    "a\x1fb",
    "a\x1eb",
    "\x00",
    "ü😀",
    "-",
    "other",
    "%2C,",
    "x" * 64,
    "\x1f",
)
TIMES: Final = (0, -1, 1, -(2**63), 2**63 - 1, 4_102_444_800_000, NOW * 1_000, NOW + 30_000)
INTS: Final = (0, -1, 1, 10**13, -(10**13), 2**63 - 1, -(2**63))
PROJECTS: Final = (
    "p",
    "n",
    "",
    "p\x1fcountry",
    "p\x1f\x1f",
    "P",
    "a" * 65,
    "a" * 100_000,
    "ü",
    "p\n",
)


def columns(rng: random.Random, count: int, user: str = "u") -> Columns:
    """Rows such as the collector sends."""
    users = [f"{user}{rng.randrange(50)}" for _ in range(count)]
    return {
        "event_time": [NOW - rng.randrange(120_000) for _ in range(count)],
        "client_time": [NOW] * count,
        "received_at": [NOW] * count,
        "event_id": [rng.randbytes(16) for _ in range(count)],
        "dedup_key": [rng.choice((0, rng.getrandbits(63) | 1)) for _ in range(count)],
        "type": [rng.choice(("page_view", "click", "purchase", "error", "mine")) for _ in users],
        "user_id": list(users),
        "user_hash": [sketch.user_hash(name) for name in users],
        "session_id": [None] * count,
        "url": ["/"] * count,
        "category": [rng.choice(("", "shoes", "ü")) for _ in users],
        "country": [rng.choice(("US", "DE", "ZZ")) for _ in users],
        "device": [rng.choice(("mobile", "desktop", "bot")) for _ in users],
        "bot": [rng.random() < 0.1 for _ in users],
        "revenue_micros": [rng.choice((0, 0, 5_000_000)) for _ in users],
        "amount_micros": [None] * count,
        "currency": [None] * count,
        "props": [None] * count,
    }


def valid(rng: random.Random, count: int, project: str, user: str = "u") -> bytes:
    """An EventBatch."""
    return batch.encode(project, columns(rng, count, user))


def message(rng: random.Random) -> bytes:
    """A message with one thing wrong, or two."""
    made = columns(rng, rng.choice((0, 1, 3, 40)))
    for _ in range(rng.randint(0, 2)):
        rng.choice(_WRONG_VALUES)(rng, made)
    arrays = {field.name: array(made[field.name], field.type) for field in batch.SCHEMA}
    schema, repeats, metadata = batch.SCHEMA, 1, {"project": "p", "version": "1"}
    kind = rng.randrange(12)
    if kind == 0:
        arrays[rng.choice(_DICTIONARIES)] = _odd_dictionary(rng, len(made["type"]))
    elif kind == 1:
        metadata["project"] = rng.choice(PROJECTS)
    elif kind == 2:
        metadata = rng.choice(({}, {"version": "1"}, {"project": "p", "version": "2"}))
    elif kind == 3:
        repeats = rng.choice((0, 2, 5))
    elif kind == 4:
        schema, arrays = _other_schema(rng, arrays)
    options = pa.ipc.IpcWriteOptions(
        compression=rng.choice(("lz4", "lz4", "zstd", None)),
        use_threads=False,
        emit_dictionary_deltas=rng.random() < 0.1,
    )
    return stream(schema.with_metadata(metadata), list(arrays.values()), repeats, options)


def stream(
    schema: pa.Schema, arrays: list[pa.Array], repeats: int = 1, options: Any = None
) -> bytes:
    """An IPC stream of the same record batch some times."""
    rows = pa.RecordBatch.from_arrays(arrays, schema=schema)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema, options=options) as writer:
        for _ in range(repeats):
            writer.write_batch(rows)
    return bytes(sink.getvalue())


def bomb(rows: int) -> bytes:
    """Few bytes that unpack to many rows."""
    zero = pa.array([0], pa.int64()).take(pa.array([0] * 1, pa.int32()))
    arrays = []
    for field in batch.SCHEMA:
        if field.type == _TEXT:
            codes = pa.repeat(pa.scalar(0, pa.int32()), rows)
            arrays.append(pa.DictionaryArray.from_arrays(codes, pa.array(["a"])))
        elif pa.types.is_string(field.type):
            arrays.append(pa.nulls(rows, field.type))
        elif pa.types.is_boolean(field.type):
            arrays.append(pa.repeat(pa.scalar(False), rows))
        elif pa.types.is_fixed_size_binary(field.type):
            arrays.append(pa.repeat(pa.scalar(bytes(16), field.type), rows))
        else:
            arrays.append(pa.repeat(zero[0].cast(field.type), rows))
    schema = batch.SCHEMA.with_metadata({"project": "p", "version": "1"})
    return stream(schema, arrays, options=pa.ipc.IpcWriteOptions(compression="lz4"))


_DICTIONARIES: Final = ("type", "category", "country", "device")


def _null(rng: random.Random, made: Columns) -> None:
    name = rng.choice(batch.SCHEMA.names)
    if made[name]:
        made[name][rng.randrange(len(made[name]))] = None


def _time(rng: random.Random, made: Columns) -> None:
    _set(rng, made, "event_time", rng.choice(TIMES))


def _money(rng: random.Random, made: Columns) -> None:
    _set(rng, made, "revenue_micros", rng.choice(INTS))


def _text(rng: random.Random, made: Columns) -> None:
    for _ in range(3):
        _set(rng, made, rng.choice(_DICTIONARIES), rng.choice(TEXTS))


def _key(rng: random.Random, made: Columns) -> None:
    made["dedup_key"] = [rng.choice((0, 1, 2, 2, 2**64 - 1)) for _ in made["dedup_key"]]


_WRONG_VALUES: Final[tuple[Callable[[random.Random, Columns], None], ...]] = (
    *(_null, _time, _money, _text, _key),
)


def _set(rng: random.Random, made: Columns, name: str, value: Any) -> None:
    if made[name]:
        made[name][rng.randrange(len(made[name]))] = value


def array(values: list[Any], kind: pa.DataType) -> pa.Array:
    """A column of the schema's type."""
    if kind == _TEXT:
        return pa.array(values, pa.utf8()).dictionary_encode()
    return pa.array(values, kind)


def _odd_dictionary(rng: random.Random, count: int) -> pa.Array:
    """A null among the values, a value twice, values without use, indices out of range."""
    values = rng.choice((["a", None], ["a", "a", "b"], ["x"] * 300, ["a"], [None]))
    top = len(values) if rng.random() < 0.8 else 2**31
    codes = pa.array([rng.randrange(top) for _ in range(count)], pa.int32())
    return pa.DictionaryArray.from_arrays(codes, pa.array(values, pa.utf8()), safe=False)


def _other_schema(
    rng: random.Random, arrays: dict[str, pa.Array]
) -> tuple[pa.Schema, dict[str, pa.Array]]:
    names = list(arrays)
    name = rng.choice(names)
    kind = rng.randrange(4)
    if kind == 0:
        del arrays[name]
    elif kind == 1:
        arrays["more"] = arrays[name]
    elif kind == 2:
        arrays[name] = pa.array(["1"] * len(arrays[name]))
    else:
        rng.shuffle(names)
        arrays = {name: arrays[name] for name in names}
    return pa.schema([(name, array.type) for name, array in arrays.items()]), arrays
