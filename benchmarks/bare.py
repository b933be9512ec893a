"""`python -m benchmarks.bare --port N`: the least that a server of events can do, as a yardstick.

The collector's uvicorn, protocol and settings; the body is received, unpacked, decoded in one typed
pass by the collector's own decoder, and answered with 202. Nothing is kept.
"""

import argparse
import sys
from typing import Any, Final

import msgspec
import uvicorn

from events import quick, schema
from serving.collector import BACKLOG, KEEP_ALIVE_S
from serving.ingest.body import gunzip
from serving.ingest.protocol import BoundedProtocol
from telemetry import garbage

TYPES: Final = (*schema.TYPES, "signup")  # of benchmarks.dataset
_EVENT: Final = quick.quick(schema.Event, TYPES, ("USD",))
_decode: Final = msgspec.json.Decoder(quick.request(_EVENT)).decode
_HEADERS: Final = [(b"content-type", b"application/json")]


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Every request is taken for one with events."""
    if scope["type"] == "lifespan":
        await _live(receive, send)
        return
    chunks = []
    while True:
        message = await receive()
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            break
    body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
    if (b"content-encoding", b"gzip") in scope["headers"]:
        body = gunzip(body)
    answer = b'{"accepted":%d,"rejected":[]}' % (len(_decode(body).events) if body else 0)
    headers = [*_HEADERS, (b"content-length", b"%d" % len(answer))]
    await send({"type": "http.response.start", "status": 202, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


async def _live(receive: Any, send: Any) -> None:
    while True:
        phase = (await receive())["type"]
        await send({"type": f"{phase}.complete"})
        if phase == "lifespan.shutdown":
            return


def main() -> int:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="benchmarks.bare", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    garbage.seldom()  # as in serving.collector
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=options.port,
        loop="uvloop",
        http=BoundedProtocol,
        ws="none",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        log_config=None,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
