"""A picture in 256 colours: a third of the bytes, and of a dashboard nobody sees the difference."""

import struct
import zlib
from typing import Final

import numpy as np
from numpy.typing import NDArray

COLOURS: Final = 256
_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"


def png(pixels: NDArray[np.uint8]) -> bytes:
    """A PNG of RGB pixels [height, width, 3]: the most frequent colours, others as the nearest."""
    height, width, _ = pixels.shape
    codes = pixels.astype(np.uint32) @ np.array([65_536, 256, 1], np.uint32)
    found, places, counts = np.unique(codes, return_inverse=True, return_counts=True)
    kept = found[np.argsort(-counts, kind="stable")[:COLOURS]]
    palette = _parts(kept)
    nearest = np.array(
        [np.abs(palette - colour).sum(axis=1).argmin() for colour in _parts(found)], np.uint8
    )
    rows = nearest[places].reshape(height, width)
    lines = np.zeros((height, width + 1), np.uint8)  # each begins with its filter: none
    lines[:, 1:] = rows
    head = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    table = palette.astype(np.uint8).tobytes()
    packed = zlib.compress(lines.tobytes(), 9)
    chunks = ((b"IHDR", head), (b"PLTE", table), (b"IDAT", packed), (b"IEND", b""))
    return _SIGNATURE + b"".join(_chunk(kind, data) for kind, data in chunks)


def _parts(codes: NDArray[np.uint32]) -> NDArray[np.int32]:
    return np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=1).astype(np.int32)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
