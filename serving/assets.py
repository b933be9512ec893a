"""The built files of the dashboard and the SDK: read once, and sent from memory, small or as gzip.

`npm run build` makes them (see the Makefile's `web`); nothing else in the folder is ever looked up
on disk, so no address leads out of it.
"""

import gzip
import hashlib
import mimetypes
from pathlib import Path
from typing import Final, NamedTuple

import flask

from serving.ingest.errors import RequestError

FOLDER: Final = Path(__file__).with_name("static")
INDEX: Final = "index.html"
SCRIPT: Final = "streamlens.js"  # the SDK's collector, for other sites' pages
HASHED: Final = "assets/"  # whose names change with their content
SCRIPT_SECONDS: Final = 3_600
_FOR_EVER: Final = "public, max-age=31536000, immutable"
_WORTH: Final = 1_024  # bytes, above which text is sent as gzip
_TEXTS: Final = ("text/", "application/json", "application/javascript", "image/svg+xml")


class Asset(NamedTuple):
    """One file. `packed` is its gzip, None where that is not worth it."""

    body: bytes
    packed: bytes | None
    kind: str
    tag: str


class Assets:
    """All files of a folder, by their path in it."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._files = {
            path.relative_to(folder).as_posix(): _asset(path)
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }

    def answer(self, name: str) -> flask.Response:
        """A file, or 304. Raises RequestError where there is none."""
        found = self._files.get(name)
        if found is None:
            unbuilt = INDEX not in self._files and name in (INDEX, SCRIPT)
            raise RequestError("not_found", "Run `make web` first." if unbuilt else "")
        body, headers = found.body, {"Cache-Control": "no-cache"}
        if found.packed is not None:
            headers["Vary"] = "Accept-Encoding"
            if flask.request.accept_encodings["gzip"]:
                body, headers["Content-Encoding"] = found.packed, "gzip"
        if name.startswith(HASHED):
            headers["Cache-Control"] = _FOR_EVER
        elif name == SCRIPT:
            headers["Cache-Control"] = f"public, max-age={SCRIPT_SECONDS}"
            headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        answer = flask.Response(body, headers=headers, content_type=found.kind)
        answer.set_etag(found.tag, weak=True)  # of either form
        answer.make_conditional(flask.request)
        return answer


def _asset(path: Path) -> Asset:
    body = path.read_bytes()
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    text = kind.startswith(_TEXTS)
    packed = gzip.compress(body, 9, mtime=0) if text and len(body) > _WORTH else None
    if text and not kind.startswith("image/"):
        kind += "; charset=utf-8"
    return Asset(body, packed, kind, hashlib.sha256(body).hexdigest()[:32])
