"""Each wrong way in, at the running service and collector, over a registry that is changed."""

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
import websocket

from deploy.artifacts import REPO
from deploy.children import PythonChild, answers_ready
from deploy.ports import HOST, free_port
from deploy.services import ValkeyServer
from serving.access_routes import BODY_SECONDS, MAX_BODY_BYTES
from serving.gate import TICKET_SECONDS
from serving.keys import main
from serving.projects import FOLLOW_SECONDS
from tests.integration.waiting import wait_for

pytestmark = pytest.mark.integration

SITE = "https://shop.example"
ZONE = "Europe/Berlin"
SOON = FOLLOW_SECONDS + 4


class House:
    """A service over a registry file."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.registry = folder / "projects.json"
        self._capsys = capsys
        self.port = free_port()
        self.keys("init")
        for name in ("shop", "other"):
            self.keys("project", name, "--timezone", ZONE)

    def keys(self, *arguments: str) -> list[str]:
        """The command line of the registry: the words that it prints."""
        code = main([str(self.registry), *arguments])
        found = self._capsys.readouterr()
        assert code == 0, found.err
        return found.out.split()

    def key(self, *arguments: str) -> tuple[str, str]:
        """Id and key of a new one, when it is in force."""
        id, key = self.keys(*arguments)
        if arguments[0] != "write":
            query: dict[str, Any] = {"project": "shop"} if arguments[0] == "admin" else {}
            wait_for("the key", lambda: self.ask("/v1/access", key, **query)[0] == 200, SOON)
        return id, key

    def ask(
        self,
        path: str,
        key: str = "",
        *,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        **query: str,
    ) -> tuple[int, Message, Any]:
        """Status, headers and JSON; with a body it is a POST."""
        address = f"http://{HOST}:{self.port}{path}"
        if query:
            address += "?" + urllib.parse.urlencode(query)
        said = ({"X-Read-Key": key} if key else {}) | (headers or {})
        request = urllib.request.Request(address, headers=said, data=body)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.headers, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, json.loads(error.read())

    def refusal(self, path: str, key: str = "", **options: Any) -> tuple[int, str]:
        """Status and code."""
        status, _, reply = self.ask(path, key, **options)
        return status, reply["error"]["code"]

    def ticket(self, key: str) -> str:
        """A new one."""
        status, _, reply = self.ask("/v1/tickets", key, body=b"")
        assert (status, reply["seconds"]) == (201, TICKET_SECONDS)
        return str(reply["ticket"])

    def live(self, query: str = "", **options: Any) -> websocket.WebSocket:
        """An open WebSocket."""
        options = {"suppress_origin": True, **options}
        address = f"ws://{HOST}:{self.port}/v1/live{query}"
        return websocket.create_connection(address, timeout=10, **options)

    def shut(self, query: str = "", **options: Any) -> tuple[int, str]:
        """Status and code of a handshake that is refused."""
        with pytest.raises(websocket.WebSocketBadStatusException) as refused:
            self.live(query, **options)
        reply = json.loads(refused.value.resp_body or b"")
        return refused.value.status_code, reply["error"]["code"]


@contextmanager
def program(module: str, house: House, folder: Path, port: int, *more: str) -> Iterator[None]:
    arguments = [module, "--port", str(port), "--projects", str(house.registry), *more]
    child = PythonChild(
        module.rpartition(".")[2],
        arguments,
        answers_ready(port, "/healthz"),
        log_path=folder / f"{module}.log",
        environment={},
        ready_within=60,
    )
    with child:
        yield
    assert "Traceback" not in child.log_path.read_text()


@pytest.fixture
def house(
    valkey: ValkeyServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Iterator[House]:
    made = House(tmp_path, capsys)
    options = ["--redis_url", valkey.address, "--refresh_seconds", "0.4"]
    options += ["--allowed_origins", SITE]
    with program("serving.app", made, tmp_path, made.port, *options):
        yield made


def subscribed(opened: websocket.WebSocket, **wish: Any) -> dict[str, Any]:
    opened.send(json.dumps({"type": "subscribe", **wish}))
    return message(opened)


def message(opened: websocket.WebSocket) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(opened.recv())
    return found


def last_words(opened: websocket.WebSocket, seconds: float) -> tuple[str, int]:
    """The code of the last message, and of the close frame; then it is closed."""
    ends = time.monotonic() + seconds
    code = ""
    while time.monotonic() < ends:
        kind, data = opened.recv_data()
        if kind == websocket.ABNF.OPCODE_CLOSE:
            opened.close()
            return code, int.from_bytes(data[:2], "big")
        code = json.loads(data).get("code", "")
    raise AssertionError("it stays open")


def test_the_ways_of_a_project(house: House) -> None:
    """One service, since it takes seconds to start: who is let in, and who is not."""
    _, read = house.key("read", "shop")
    _, german = house.key("read", "shop", "--filter", "country=DE")
    _, write = house.key("write", "shop")
    _, admin = house.key("admin")
    access = house.ask("/v1/access", headers={"Authorization": f"Bearer {german}"})[2]
    assert access == {
        "project": "shop",
        "currency": "USD",
        "timezone": ZONE,
        "filter": {"country": "DE"},
        "expires": None,
    }
    assert house.ask("/v1/metrics", read)[2]["timezone"] == ZONE
    assert house.ask("/v1/metrics", read, timezone="UTC")[2]["timezone"] == "UTC"

    # The wrong key, and another project's.
    assert house.refusal("/v1/metrics") == (401, "read_key_missing")
    assert house.refusal("/v1/metrics", "slr_wrong") == (403, "read_key_unknown")
    assert house.refusal("/v1/metrics", write) == (403, "read_key_unknown")
    assert house.refusal("/v1/metrics", "demo-read-key") == (403, "read_key_unknown")
    assert house.refusal("/v1/metrics", read, project="other") == (403, "project_not_allowed")
    assert house.refusal("/v1/keys", read) == (403, "admin_key_needed")

    # An admin key opens each, when it says which.
    assert house.ask("/v1/metrics", admin, project="other")[2]["project"] == "other"
    assert house.refusal("/v1/metrics", admin) == (400, "parameter_invalid")
    listed = house.ask("/v1/keys", admin)[2]
    assert [project["name"] for project in listed["projects"]] == ["shop", "other"]
    assert read not in json.dumps(listed)

    # A key for a part is kept to it.
    asked = house.ask("/v1/metrics", german, start="-5m")
    assert asked[0] == 200
    more = {"filter": "country:DE,country:US"}
    assert house.refusal("/v1/metrics", german, **more) == (403, "filter_not_allowed")
    more = {"filter": "country:US", "dimension": "device"}
    assert house.refusal("/v1/breakdown", german, **more) == (403, "filter_not_allowed")
    assert house.refusal("/v1/ledger", german) == (403, "filter_not_allowed")
    opened = house.live(f"?ticket={house.ticket(german)}")
    assert subscribed(opened)["filter"] == {"country": "DE"}
    opened.send(json.dumps({"type": "subscribe", "filter": {"country": "US"}}))
    assert last_words(opened, 10) == ("filter_not_allowed", 1008)

    # A ticket is for one connection, soon; no key stands in a URL.
    ticket = house.ticket(read)
    opened = house.live(f"?ticket={ticket}")
    assert subscribed(opened)["type"] == "snapshot"
    opened.close()
    assert house.shut(f"?ticket={ticket}") == (403, "ticket_invalid")
    assert house.shut(f"?ticket={ticket[:-5]}") == (403, "ticket_invalid")
    assert house.shut(f"?key={read}") == (401, "read_key_missing")
    assert house.shut(header={"X-Read-Key": write}) == (403, "read_key_unknown")
    late = house.ticket(read)
    sse = house.ticket(read)
    address = f"http://{HOST}:{house.port}/v1/live/sse?ticket={sse}"
    with urllib.request.urlopen(address, timeout=10) as answer:
        assert answer.readline() == b"retry: 2000\n"

    # A wrong origin; a list for the others.
    origin: dict[str, Any] = {"suppress_origin": False, "header": {"X-Read-Key": read}}
    assert house.shut(origin="https://evil.example", **origin) == (403, "origin_not_allowed")
    house.live(origin=SITE, **origin).close()
    house.live(origin=f"http://{HOST}:{house.port}", **origin).close()
    evil = {"Origin": "https://evil.example"}
    assert house.refusal("/v1/tickets", read, body=b"", headers=evil) == (403, "origin_not_allowed")
    assert house.ask("/v1/metrics", read, headers=evil)[1]["Access-Control-Allow-Origin"] is None
    for path in ("/v1/metrics", "/v1/tickets"):
        preflight = urllib.request.Request(
            f"http://{HOST}:{house.port}{path}", headers={"Origin": SITE}, method="OPTIONS"
        )
        with urllib.request.urlopen(preflight, timeout=10) as answer:
            assert answer.headers["Access-Control-Allow-Origin"] == SITE
            assert "X-Read-Key" in answer.headers["Access-Control-Allow-Headers"]
            assert "Access-Control-Allow-Credentials" not in answer.headers
            assert "Origin" in answer.headers["Vary"]

    # A frame that is too large, and a body.
    opened = house.live(header={"X-Read-Key": read})
    opened.send("x" * 5_000)
    assert last_words(opened, 10)[1] == 1009
    body = b"{" + b" " * MAX_BODY_BYTES + b"}"
    assert house.refusal("/v1/shares", read, body=body) == (413, "body_too_large")
    assert house.refusal("/v1/shares", read, body=b"{") == (400, "body_malformed")

    time.sleep(TICKET_SECONDS)
    assert house.shut(f"?ticket={late}") == (403, "ticket_invalid")


def test_share_links(house: House) -> None:
    id, read = house.key("read", "shop")
    made = {"filter": {"country": "DE"}, "seconds": 600}
    status, _, share = house.ask("/v1/shares", read, body=json.dumps(made).encode())
    assert status == 201
    assert share["path"] == f"/#share={share['key']}"
    assert house.ask("/v1/access", share["key"])[2]["filter"] == {"country": "DE"}
    opened = house.live(f"?ticket={house.ticket(share['key'])}")
    assert subscribed(opened)["filter"] == {"country": "DE"}
    house.keys("revoke", share["id"])
    assert last_words(opened, SOON) == ("read_key_revoked", 1008)
    wait_for("the link's end", lambda: house.ask("/v1/access", share["key"])[0] == 403, SOON)
    assert house.refusal("/v1/metrics", share["key"]) == (403, "read_key_revoked")
    assert house.ask("/v1/access", read)[0] == 200
    _, _, other = house.ask("/v1/shares", read, body=b"")
    house.keys("revoke", id)  # with its key
    wait_for("the key's end", lambda: house.ask("/v1/access", read)[0] == 403, SOON)
    wait_for("the other's end", lambda: house.ask("/v1/access", other["key"])[0] == 403, SOON)


def test_the_dashboard_opens_a_share_link_until_it_is_revoked(house: House, tmp_path: Path) -> None:
    _, read = house.key("read", "shop")
    body = json.dumps({"filter": {"device": "tv"}}).encode()
    _, _, share = house.ask("/v1/shares", read, body=body)

    def shows(state: str) -> None:
        """Real Chromium comes to this state; the script gives up otherwise."""
        picture = tmp_path / f"{state}.png"
        url = f"http://{HOST}:{house.port}{share['path']}"
        script = [sys.executable, "-m", "scripts.screenshot", "--url", url, "--out", str(picture)]
        found = subprocess.run(
            [*script, "--state", state, "--wait", "0"], cwd=REPO, capture_output=True, timeout=110
        )
        assert found.returncode == 0, found.stderr.decode()
        assert picture.stat().st_size > 1_000

    shows("live")
    house.keys("revoke", share["id"])
    wait_for("the link's end", lambda: house.ask("/v1/access", share["key"])[0] == 403, SOON)
    shows("denied")


def test_a_key_revoked_while_its_connections_are_open(house: House) -> None:
    id, read = house.key("read", "shop")
    _, stays = house.key("read", "shop")
    other = house.live(header={"X-Read-Key": stays})
    assert subscribed(other)["type"] == "snapshot"
    opened = [house.live(header={"X-Read-Key": read}) for _ in range(4)]
    for one in opened[1:]:  # the first has not said yet what it wants
        assert subscribed(one)["type"] == "snapshot"
    request = urllib.request.Request(
        f"http://{HOST}:{house.port}/v1/live/sse", headers={"X-Read-Key": read}
    )
    with urllib.request.urlopen(request, timeout=10) as events:
        assert events.readline()
        house.keys("revoke", id)
        for one in opened:
            assert last_words(one, SOON) == ("read_key_revoked", 1008)
        assert b"read_key_revoked" in events.read()
    assert message(other)["type"] == "delta"
    other.close()


def test_a_slow_loris_holds_nothing_up(house: House) -> None:
    """Heads, bodies and frames that come a byte a second: each is ended, others are served."""
    _, read = house.key("read", "shop")
    body = (
        f"POST /v1/tickets HTTP/1.1\r\nHost: x\r\nX-Read-Key: {read}\r\nContent-Length: 500\r\n\r\n"
    ).encode()
    begun = time.monotonic()
    heads = [
        _open(house.port, b"GET /v1/metrics HTTP/1.1\r\nHost: x\r\nX-Slow: ") for _ in range(30)
    ]
    bodies = [_open(house.port, body) for _ in range(30)]
    waiting, ends = {*heads, *bodies}, dict[socket.socket, float]()
    slowest = 0.0
    while waiting and time.monotonic() < begun + 60:
        for one in list(waiting):
            if _dribble(one):
                waiting.discard(one)
                ends[one] = time.monotonic() - begun
        asked = time.monotonic()
        assert house.ask("/v1/access", read)[0] == 200
        slowest = max(slowest, time.monotonic() - asked)
        time.sleep(0.5)
    assert not waiting, (len(waiting & {*heads}), len(waiting & {*bodies}))
    assert max(ends[one] for one in bodies) < BODY_SECONDS + 10
    assert max(ends[one] for one in heads) < 45  # gunicorn's keepalive of 30 s
    assert slowest < 5


def _open(port: int, said: bytes) -> socket.socket:
    opened = socket.create_connection((HOST, port), timeout=5)
    opened.sendall(said)
    opened.setblocking(False)
    return opened


def _dribble(opened: socket.socket) -> bool:
    """A byte more; whether the other side has ended it."""
    with suppress(BlockingIOError):
        if not opened.recv(65_536):
            opened.close()
            return True
    try:
        opened.send(b"x")
    except OSError:
        opened.close()
        return True
    return False


def test_write_keys_of_a_page(house: House, valkey: ValkeyServer, tmp_path: Path) -> None:
    """The collector, without Kafka: the key is looked at before anything else."""
    id, key = house.keys("write", "shop", "--origin", SITE)
    _, plain = house.keys("write", "shop")
    port = free_port()
    nobody = f"{HOST}:{free_port()}"
    options = ["--kafka_bootstrap", nobody, "--redis_url", valkey.address]

    def post(key: str, origin: str | None, body: bytes = b"{}") -> str:
        headers = {"Content-Type": "application/json", "X-Write-Key": key}
        headers |= {} if origin is None else {"Origin": origin}
        address = f"http://{HOST}:{port}/v1/events"
        request = urllib.request.Request(address, headers=headers, data=body)
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=10)
        with refused.value as error:
            assert error.headers["Access-Control-Allow-Origin"] == "*"
            return str(json.loads(error.read())["error"]["code"])

    with program("serving.collector", house, tmp_path, port, *options):
        assert post(key, SITE) == post(plain, None) == post(plain, "https://x.example")
        assert post(key, SITE) not in ("origin_not_allowed", "write_key_unknown")
        for origin in ("https://evil.example", "http://shop.example", "null", None):
            assert post(key, origin) == "origin_not_allowed"
        assert post("slw_wrong", SITE) == "write_key_unknown"
        _, read = house.key("read", "shop")

        def shown() -> set[str]:
            """Why requests of the project's own keys were refused, as its people see it."""
            reply = house.ask("/v1/live/snapshot", read, recent="1")[2]
            return {each["code"] for each in reply["recent"]}

        wait_for("why", lambda: shown() == {"origin_not_allowed", "events_missing"}, SOON)
        house.keys("revoke", id)
        wait_for("the key's end", lambda: post(key, SITE) == "write_key_revoked", SOON)
        assert post(plain, None) not in ("write_key_revoked", "write_key_unknown")
