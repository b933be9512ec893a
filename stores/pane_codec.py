"""Panes as bytes: how they wait in a job's state for a store that is away."""

from typing import Final

import msgspec
import numpy as np

from stores.pane import MEASURES, Grouping, Pane

_VERSION: Final = 1


class _Wire(msgspec.Struct, array_like=True):
    version: int
    project: str
    grouping: Grouping
    start: int
    width: int
    status: int
    series: list[tuple[str, ...]]
    measures: bytes  # int64, rows of MEASURES
    sketch: bytes  # uint32


_decoder: Final = msgspec.msgpack.Decoder(_Wire)


def encode(pane: Pane) -> bytes:
    """The pane as bytes (MessagePack; numbers as they lie in memory, little endian)."""
    wire = _Wire(
        _VERSION,
        pane.project,
        pane.grouping,
        pane.start,
        pane.width,
        pane.status,
        pane.series,
        np.ascontiguousarray(pane.measures, np.int64).tobytes(),
        np.ascontiguousarray(pane.sketch, np.uint32).tobytes(),
    )
    return msgspec.msgpack.encode(wire)


def decode(data: bytes) -> Pane:
    """The pane of `encode`'s bytes. Raises ValueError for anything else."""
    try:
        wire = _decoder.decode(data)
        if wire.version != _VERSION:
            raise ValueError(f"of version {wire.version}")
        measures = np.frombuffer(wire.measures, np.int64).reshape(len(wire.series), len(MEASURES))
        entries = np.frombuffer(wire.sketch, np.uint32)
    except (msgspec.DecodeError, ValueError) as error:  # text that is no UTF-8 is the latter
        raise ValueError(f"not a pane: {error}") from error
    return Pane(
        wire.project,
        wire.grouping,
        wire.start,
        wire.width,
        wire.status,
        wire.series,
        measures,
        entries,
    )
