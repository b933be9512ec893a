"""A client of the collector without a network: it speaks ASGI."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from events.geo import CountryLookup
from serving.ingest.app import Collector
from serving.ingest.settings import Settings
from serving.projects import Projects
from tests.unit.serving.brokers import DictMemory, MemoryBroker

KEY = "demo-write-key"
NOW = 1_750_000_000_000


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The error code of the envelope, which has nothing else in it."""
        assert set(self.json) == {"error"}
        assert set(self.json["error"]) == {"code", "message"}
        return str(self.json["error"]["code"])


@dataclass
class Client:
    """A collector with doubles behind it, and requests to it."""

    settings: Settings = field(default_factory=lambda: Settings(linger_ms=1))
    projects: Projects = field(default_factory=lambda: Projects.load(None))
    broker: MemoryBroker = field(default_factory=MemoryBroker)
    memory: DictMemory = field(default_factory=DictMemory)
    peer: str = "127.0.0.1"

    def __post_init__(self) -> None:
        self.app = Collector(
            self.settings, self.projects, CountryLookup(None), self.broker, self.memory
        )

    async def request(
        self,
        method: str = "POST",
        path: str = "/v1/events",
        body: bytes | list[bytes] = b"",
        headers: Mapping[str, str] | None = None,
        query: str = "",
        stall: bool = False,
        gone: bool = False,
    ) -> Answer:
        """One request; a list is a body in pieces, `stall` never sends the last of them."""
        chunks = body if isinstance(body, list) else [body]
        sent: list[Any] = []
        pieces = iter(
            {
                "type": "http.request",
                "body": chunk,
                "more_body": index < len(chunks) - 1 or stall or gone,
            }
            for index, chunk in enumerate(chunks)
        )

        async def receive() -> Any:
            message = next(pieces, None)
            if message is not None:
                return message
            if gone:
                return {"type": "http.disconnect"}
            return await asyncio.get_running_loop().create_future()

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query.encode(),
            "headers": [(k.lower().encode(), v.encode()) for k, v in (headers or {}).items()],
            "client": (self.peer, 1),
        }
        await self.app(scope, receive, send)
        if not sent:
            return Answer(0, {}, b"")
        fields = {k.decode(): v.decode() for k, v in sent[0]["headers"]}
        content = b"".join(part["body"] for part in sent[1:])
        assert method == "HEAD" or int(fields["content-length"]) == len(content)
        return Answer(sent[0]["status"], fields, content)

    async def post(self, payload: Any, **options: Any) -> Answer:
        """A JSON body with the demo project's key; `bytes` are sent as they are."""
        body = payload if isinstance(payload, bytes | list) else json.dumps(payload).encode()
        headers = {
            "X-Write-Key": KEY,
            "Content-Type": "application/json",
            "User-Agent": "MyServer/2.0",
            **options.pop("headers", {}),
        }
        return await self.request(body=body, headers=headers, **options)


def event(**fields: Any) -> dict[str, Any]:
    """A valid event; None leaves a field out."""
    full = {"type": "page_view", "user_id": "u1", "ts": NOW, **fields}
    return {name: value for name, value in full.items() if value is not None}


def events(*items: Any, **envelope: Any) -> dict[str, Any]:
    """A request's body."""
    return {"events": list(items), **envelope}
