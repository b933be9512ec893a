"""The TypeScript client of `/v1/live`, in Node, at the running service over a real Valkey."""

import json
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from deploy.artifacts import REPO
from deploy.children import PythonChild, answers_ready
from deploy.ports import HOST, free_port
from deploy.services import ValkeyServer
from stores.hot import HotStore
from stores.pane import FINAL, MINUTE
from tests.integration.blocking_proxy import BlockingProxy
from tests.integration.test_service import minute, pane
from tests.integration.waiting import wait_for

ESBUILD = REPO / "node_modules" / ".bin" / "esbuild"
NODE = shutil.which("node")
# Node 20 has both, but not without being asked.
FLAGS = ("--no-warnings", "--experimental-websocket", "--experimental-eventsource")
pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(NODE is None or not ESBUILD.exists(), reason="no node, or no `npm ci`"),
]

SOCKET, STREAM, SNAPSHOT = "/v1/live", "/v1/live/sse", "/v1/live/snapshot"
SOON = 30.0  # seconds


class LiveClient:
    """The client in its own process, and what it has told so far."""

    def __init__(self, bundle: Path, port: int, wish: dict[str, Any] | None = None) -> None:
        script = Path(__file__).with_name("live_client.mjs")
        origin = f"http://{HOST}:{port}"
        arguments = [str(bundle), origin, "demo-read-key", json.dumps(wish or {})]
        self._process = subprocess.Popen(
            [str(NODE), *FLAGS, str(script), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._told: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def tell(self, said: str | dict[str, Any]) -> None:
        """Have it called, or something else wished."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(said) + "\n")
        self._process.stdin.flush()

    def told(self, kind: str) -> list[Any]:
        """All of a kind so far."""
        return [line[kind] for line in self._told if kind in line]

    def last(self, kind: str, right: Callable[[Any], bool]) -> Any:
        """The last of a kind, once it is right."""

        def look() -> Any:
            return found[-1] if (found := self.told(kind)) and right(found[-1]) else None

        return wait_for(lambda: f"{kind} among {self.told('connection')[-5:]}", look, SOON)

    def counted(self, start: int, events: int) -> dict[str, Any]:
        """The series, once a minute has so many events."""
        series: dict[str, Any] = self.last("series", lambda one: at(one, start) == events)
        return series

    def live(self, transport: str) -> dict[str, Any]:
        """The state, once it is live by this."""
        state = {"state": "live", "transport": transport}
        found: dict[str, Any] = self.last("connection", lambda one: one == state)
        return found

    def stop(self) -> int:
        """Its exit code, 0 if nothing was left open."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            return self._process.wait(10)
        finally:
            self._process.kill()
            self._process.wait()
            self._reader.join()
            assert self._process.stdout is not None
            self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._told.append(json.loads(line))


def at(series: dict[str, Any], start: int) -> int | None:
    """The events of a minute."""
    events: dict[int, int] = dict(zip(series["time"], series["events"], strict=True))
    return events.get(start)


def without_gaps(series: dict[str, Any]) -> bool:
    times: list[int] = series["time"]
    return times == list(range(times[0], times[-1] + MINUTE, MINUTE))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = tmp_path_factory.mktemp("live") / "live.mjs"
    source = REPO / "sdk_js" / "src" / "live" / "index.ts"
    command = [str(ESBUILD), str(source), "--bundle", "--format=esm", f"--outfile={built}"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return built


@contextmanager
def service(valkey: ValkeyServer, port: int, log: Path) -> Iterator[None]:
    arguments = ["serving.app", "--port", str(port), "--redis_url", valkey.address]
    arguments += ["--refresh_seconds", "0.4"]
    ready = answers_ready(port)
    with PythonChild("service", arguments, ready, log_path=log, environment={}, ready_within=60):
        yield


@pytest.fixture(scope="module")
def port(valkey: ValkeyServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Of a service that no test stops."""
    chosen = free_port()
    with service(valkey, chosen, tmp_path_factory.mktemp("service") / "service.log"):
        yield chosen


@contextmanager
def client_of(bundle: Path, port: int, **wish: Any) -> Iterator[LiveClient]:
    """It has to end by itself when it is stopped."""
    started = LiveClient(bundle, port, wish)
    try:
        yield started
    finally:
        code = started.stop()
    assert code == 0


def paths(proxy: BlockingProxy) -> list[str]:
    return [request.partition("?")[0] for request in proxy.requests]


def test_first_numbers_by_one_request_and_deltas_by_a_socket(
    bundle: Path, port: int, client: redis.Redis
) -> None:
    store, now = HotStore(client), minute()
    store.write([pane(now - MINUTE, {(): 5}, status=FINAL)])
    store.write([pane(now - MINUTE, {("DE",): 2}, grouping=("country",), status=FINAL)])
    with BlockingProxy(port) as proxy, client_of(bundle, proxy.port) as live:
        first = live.counted(now - MINUTE, 5)
        assert (len(first["time"]), without_gaps(first)) == (1_440, True)
        live.live("websocket")
        store.write([pane(now, {(): 3})])
        live.counted(now, 3)
        live.tell({"filter": {"country": "DE"}})
        assert live.counted(now - MINUTE, 2)["filter"] == {"country": "DE"}
        assert sorted(paths(proxy)) == [f"GET {SOCKET}", f"GET {SNAPSHOT}", "POST /v1/tickets"]
        assert [one["filter"] for one in live.told("sent")] == [{}, {"country": "DE"}]
        assert live.told("failure") == []


def test_a_service_that_restarts_leaves_no_gap(
    bundle: Path, valkey: ValkeyServer, tmp_path: Path, client: redis.Redis
) -> None:
    store, now, port = HotStore(client), minute(), free_port()
    log = tmp_path / "service.log"
    with ExitStack() as ends:
        first = ends.enter_context(ExitStack())
        first.enter_context(service(valkey, port, log))
        live = ends.enter_context(client_of(bundle, port))
        store.write([pane(now - MINUTE, {(): 5}, status=FINAL)])
        live.counted(now - MINUTE, 5)
        live.live("websocket")
        first.close()
        live.last("connection", lambda one: one["state"] == "reconnecting")
        held = live.told("series")[-1]
        store.write([pane(now - MINUTE, {(): 6}, status=FINAL), pane(now, {(): 3})])
        ends.enter_context(service(valkey, port, log))
        live.counted(now, 3)
        series = live.counted(now - MINUTE, 6)
        live.live("websocket")
        assert without_gaps(series)
        assert held["asOf"] in [one.get("since") for one in live.told("sent")[1:]]
    assert "Traceback" not in log.read_text()


@pytest.mark.parametrize(
    ("blocked", "transport"),
    [({SOCKET}, "sse"), ({SOCKET, STREAM}, "polling")],
    ids=["sse", "polling"],
)
def test_what_is_blocked_is_gone_round(
    bundle: Path, port: int, client: redis.Redis, blocked: set[str], transport: str
) -> None:
    store, now = HotStore(client), minute()
    store.write([pane(now, {(): 5})])
    with (
        BlockingProxy(port, frozenset(blocked)) as proxy,
        client_of(bundle, proxy.port) as live,
    ):
        live.counted(now, 5)
        live.live(transport)
        tried = paths(proxy)
        assert tried.count(f"GET {SOCKET}") == 2
        assert tried.count(f"GET {STREAM}") == (1 if transport == "sse" else 2)
        store.write([pane(now, {(): 8})])
        assert without_gaps(live.counted(now, 8))
        assert "since=" in proxy.requests[-1]
        live.tell({"metrics": ["events", "bots"]})
        store.write([pane(now, {(): 9})])
        live.counted(now, 9)
        assert "bots" in proxy.requests[-1]


def test_one_that_was_stopped_asks_for_what_it_missed(
    bundle: Path, port: int, client: redis.Redis
) -> None:
    store, now = HotStore(client), minute()
    store.write([pane(now, {(): 5})])
    with BlockingProxy(port) as proxy, client_of(bundle, proxy.port) as live:
        live.counted(now, 5)
        live.live("websocket")
        live.tell("stop")
        store.write([pane(now, {(): 8})])
        live.tell("start")
        live.counted(now, 8)
        first, again = (one for one in proxy.requests if SNAPSHOT in one)
        assert "since=" not in first
        assert "since=" in again
