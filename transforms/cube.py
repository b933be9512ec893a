"""A cube: the numbers of one grouping set in one window, all its series at once.

A cube is both the partial result of one bundle and the accumulator of one window; Beam's cost is
paid per cube, whatever the number of events or series. Merging is associative and commutative,
and does not depend on batching, as long as the number of series stays under the cap. Beyond it the
first `cap` series stay admitted (so that stored counts only grow) and the rest is counted in
`left_out`; nothing is lost from the total, which is a grouping set of its own.
"""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import apache_beam as beam
import numpy as np
from apache_beam.coders import Coder
from numpy.typing import NDArray

from events import sketch, sketches
from events.sketches import Sketches
from stores.pane import MEASURES

UNIT: Final = "\x1f"  # between the dimension values of one series
RECORD: Final = "\x1e"  # between series, on the wire
MAX_SERIES: Final = sketch.MAX_SERIES
# version, series, left out, bytes of names, entries, dense sketches
_HEADER: Final = struct.Struct("<BIQIII")
_VERSION: Final = 2


@dataclass(eq=False)
class Cube:
    """`names[i]` is series i (values joined by UNIT), `measures[i]` its int64 `MEASURES`."""

    names: list[str] = field(default_factory=list)
    measures: NDArray[np.int64] = field(
        default_factory=lambda: np.zeros((0, len(MEASURES)), np.int64)
    )
    users: Sketches = sketches.EMPTY
    left_out: int = 0  # rows of series beyond the cap

    def __eq__(self, other: object) -> bool:
        """Equal when every series has the same numbers and users, in whatever order."""
        if not isinstance(other, Cube):
            return NotImplemented
        return canonical(self) == canonical(other)

    @property
    def rows(self) -> int:
        """All rows counted here: the version of the cube."""
        return int(self.measures[:, 0].sum())


def merge(cubes: Iterable[Cube], cap: int = MAX_SERIES) -> Cube:
    """The sum of the measures and the union of the sketches, series by series.

    The series of the first cube are admitted first. Inputs are left as they were.
    """
    names: list[str] = []
    index: dict[str, int] = {}
    ids: list[NDArray[np.int64]] = []
    given = list(cubes)
    for cube in given:
        for name in cube.names:
            if name not in index and len(names) < cap:
                index[name] = len(names)
                names.append(name)
        ids.append(np.array([index.get(name, -1) for name in cube.names], np.int64))
    measures = np.zeros((len(names), len(MEASURES)), np.int64)
    left_out = 0
    for cube, new in zip(given, ids, strict=True):
        kept = new >= 0
        measures[new[kept]] += cube.measures[kept]  # names are distinct within one cube
        left_out += cube.left_out + int(cube.measures[~kept, 0].sum())
    parts = ((cube.users, new) for cube, new in zip(given, ids, strict=True))
    return Cube(names, measures, sketches.merge(parts, len(names)), left_out)


def canonical(cube: Cube) -> bytes:
    """Bytes that do not depend on the order of the series."""
    order = sorted(range(len(cube.names)), key=cube.names.__getitem__)
    ids = np.empty(len(order), np.int64)
    ids[order] = np.arange(len(order))
    users = sketches.merge([(cube.users, ids)], len(order))
    names = [cube.names[i] for i in order]
    return encode(Cube(names, cube.measures[order], users, cube.left_out))


def encode(cube: Cube) -> bytes:
    """The cube as bytes: header, names, measures, sketches; little endian."""
    names = RECORD.join(cube.names).encode()
    users = cube.users
    header = _HEADER.pack(
        _VERSION,
        len(cube.names),
        cube.left_out,
        len(names),
        len(users.sparse),
        len(users.ids),
    )
    arrays = (cube.measures, users.sparse, users.ids, users.dense)
    return b"".join((header, names, *(array.tobytes() for array in arrays)))


def decode(data: bytes) -> Cube:
    """The cube of `encode`'s bytes. Raises ValueError for bytes of another version."""
    version, series, left_out, length, entries, dense = _HEADER.unpack_from(data)
    if version != _VERSION:
        raise ValueError(f"a cube of version {version}")
    at = _HEADER.size
    names = data[at : at + length].decode().split(RECORD) if series else []
    at += length
    width = len(MEASURES)
    measures = np.frombuffer(data, np.int64, series * width, at).reshape(series, width)
    at += series * width * 8
    sparse = np.frombuffer(data, np.uint32, entries, at)
    at += entries * 4
    ids = np.frombuffer(data, np.int64, dense, at)
    at += dense * 8
    rows = np.frombuffer(data, np.uint8, dense * sketch.REGISTERS, at)
    users = Sketches(sparse, ids, rows.reshape(dense, sketch.REGISTERS))
    return Cube(names, measures, users, left_out)


class CubeCoder(Coder):
    """Beam's coder for cubes: never pickled."""

    def encode(self, value: Cube) -> bytes:
        """See `encode`."""
        return encode(value)

    def decode(self, encoded: bytes) -> Cube:
        """See `decode`."""
        return decode(encoded)

    def is_deterministic(self) -> bool:
        """Cubes are values, not keys; equal cubes may differ in the order of series."""
        return False

    def to_type_hint(self) -> type[Cube]:
        """The type it codes."""
        return Cube


beam.coders.registry.register_coder(Cube, CubeCoder)


class CubeCombineFn(beam.CombineFn):
    """Merges cubes; input, accumulator and output are cubes. For bounded input."""

    def __init__(self, cap: int = MAX_SERIES) -> None:
        self._cap = cap

    def create_accumulator(self) -> Cube:
        """An empty cube."""
        return Cube()

    def add_input(self, accumulator: Cube, element: Cube) -> Cube:
        """The accumulator with one more partial cube."""
        return merge((accumulator, element), self._cap)

    def add_inputs(self, accumulator: Cube, elements: Sequence[Cube]) -> Cube:
        """The accumulator with several more, in one merge."""
        return merge((accumulator, *elements), self._cap)

    def merge_accumulators(self, accumulators: Iterable[Cube]) -> Cube:
        """Several accumulators as one."""
        return merge(accumulators, self._cap)

    def extract_output(self, accumulator: Cube) -> Cube:
        """The cube itself."""
        return accumulator

    def default_label(self) -> str:
        """The step's name when none is given."""
        return "MergeCubes"

    def get_accumulator_coder(self) -> Any:
        """Never pickle."""
        return CubeCoder()
