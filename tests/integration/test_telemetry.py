"""What running programs say of themselves: /metrics, JSON logs, readiness, a job that hangs."""

import json
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import pytest
import redis
import websocket
from confluent_kafka import Producer
from prometheus_client.parser import text_string_to_metric_families

from deploy import children
from deploy.children import PythonChild, Stalled, answers_ready, last_seen
from deploy.clickhouse import ClickHouseServer
from deploy.pidfile import PidFile
from deploy.ports import HOST, free_port
from deploy.process import ManagedProcess
from deploy.services import TOPICS, KafkaServer, ValkeyServer, ensure_topics
from deploy.supervisor import Supervisor, Unit
from stores import layout
from telemetry.endpoint import SPAN
from telemetry.meters import Program
from telemetry.metrics import COLLECTOR, JOB, SERVICE
from tests.integration.jobs import start_job
from tests.integration.waiting import wait_for

pytestmark = pytest.mark.integration


def scrape(port: int) -> dict[str, float]:
    """Samples of one process by `name{label=value,…}`; none when nobody is there."""
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}/metrics", timeout=5) as answer:
            text = answer.read().decode()
    except OSError:
        return {}
    return {
        sample.name + "".join(f" {k}={v}" for k, v in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def all_of(port: int) -> dict[str, float]:
    """Sums over the processes of a program, as `sum without (instance)`."""
    sums: dict[str, float] = {}
    for one in range(port, port + SPAN):
        for name, value in scrape(one).items():
            sums[name] = sums.get(name, 0.0) + value
    return sums


def complete(program: Program, samples: dict[str, float]) -> bool:
    """Whether every metric without labels is there."""
    plain = {m.name for m in program.meters if not m.labels and m.kind != "histogram"}
    return plain <= set(samples)


def ask(url: str, body: object = None, key: str = "demo-write-key") -> tuple[int, bytes]:
    data = None if body is None else json.dumps(body).encode()
    headers = {"X-Write-Key": key, "X-Read-Key": key, "Content-Type": "application/json"}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=20) as got:
            return got.status, got.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def program(name: str, folder: Path, port: int, *arguments: str) -> PythonChild:
    module = {"collector": "serving.collector", "service": "serving.app"}[name]
    return PythonChild(
        name,
        [module, "--port", str(port), *arguments],
        answers_ready(port),
        log_path=folder / f"{name}-{port}.log",
        environment={},
        ready_within=60,
    )


def event() -> dict[str, object]:
    now = time.time_ns() // 1_000_000
    return {"type": "click", "user_id": "somebody", "ts": now}


def test_the_collector(kafka: KafkaServer, valkey: ValkeyServer, tmp_path: Path) -> None:
    ensure_topics(kafka.address, {"watched": 2})
    shown = free_port()
    ports = (free_port(), free_port())
    common = [f"--kafka_bootstrap={kafka.address}", "--topic=watched", "--log_format=json"]
    common += [f"--redis_url={valkey.address}", f"--metrics_port={shown}"]
    with (
        program("collector", tmp_path, ports[0], *common),
        program("collector", tmp_path, ports[1], *common),
    ):
        batch_id = f"watched-{time.time_ns()}"
        good = {"batch_id": batch_id, "events": [event(), event(), {"type": "click"}]}
        for port in (*ports, ports[0]):  # the second and third are repeats
            assert ask(f"http://{HOST}:{port}/v1/events", good)[0] == 202
        assert ask(f"http://{HOST}:{ports[0]}/metrics")[0] == 404  # not for outsiders
        found = all_of(shown)
    assert complete(COLLECTOR, found)
    name = "streamlens_collector_"
    assert found[f"{name}requests_total route=/v1/events status=202"] == 3
    assert found[f"{name}requests_total route=other status=404"] == 1
    assert found[f"{name}events_received_total"] == 9
    assert found[f"{name}events_accepted_total"] == 2
    assert found[f"{name}events_rejected_total reason=event_field_missing"] == 1
    assert found[f"{name}repeated_batches_total source=memory"] == 2
    assert found[f"{name}messages_total"] == found[f"{name}produce_seconds_count"] > 0
    assert found[f"{name}memory_seconds_count"] > 0
    assert found[f"{name}held_events"] == 0
    for port in ports:
        lines = (tmp_path / f"collector-{port}.log").read_text().splitlines()
        assert any("metrics: http" in json.loads(line)["message"] for line in lines)


def _shown(first: int) -> list[int]:
    """The ports of the range on which a service shows all its metrics: one for each worker."""
    return [one for one in range(first, first + SPAN) if complete(SERVICE, scrape(one))]


def test_the_service_and_its_workers(valkey: ValkeyServer, tmp_path: Path) -> None:
    port, shown = free_port(), free_port()
    options = ["--workers=2", f"--metrics_port={shown}", "--log_format=json"]
    options += [f"--redis_url={valkey.address}", "--refresh_seconds=0.3"]
    url = f"http://{HOST}:{port}"
    name = "streamlens_service_"
    with program("service", tmp_path, port, *options) as service:
        for _ in range(2):
            path = f"{url}/v1/metrics?start=-5m&filter=country:ZZ"
            assert ask(path, key="demo-read-key")[0] == 200
        assert ask(f"{url}/metrics")[0] == 404
        assert ask(f"{url}/secret/path?key=demo-read-key")[0] == 404
        with socket.create_connection((HOST, port), timeout=5) as raw:
            raw.sendall(b"GET / HTTP/1.1\r\nbad secret header\r\n\r\n")
            assert raw.recv(100).startswith(b"HTTP/1.1 400")
        opened = websocket.create_connection(
            f"ws://{HOST}:{port}/v1/live",
            timeout=10,
            suppress_origin=True,
            header={"X-Read-Key": "demo-read-key"},
        )
        opened.send(json.dumps({"type": "subscribe"}))
        opened.recv()
        assert all_of(shown)[f"{name}sockets"] == 1
        assert all_of(shown)[f"{name}subscribers"] == 1
        opened.close()
        found = wait_for(
            "socket's end",
            lambda: f if (f := all_of(shown))[f"{name}sockets"] == 0 else None,
            20,
        )
        wait_for("metrics of both workers", lambda: len(_shown(shown)) == 2, 20)
    assert found[f"{name}requests_total route=/v1/metrics status=200"] == 2
    assert found[f"{name}requests_total route=/v1/live status=101"] == 1
    assert found[f"{name}requests_total route=other status=404"] == 2
    assert found[f"{name}store_seconds_count question=counts store=hot"] >= 1
    assert found[f"{name}sockets_closed_total reason=client"] == 1
    assert found[f"{name}live_bytes_total"] > 1_000
    assert found[f"{name}fan_out_seconds_count"] >= 1
    text = service.log_path.read_text()
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    assert len(lines) == len(text.splitlines()), text
    access = [line for line in lines if line["logger"] == "streamlens.access"]
    routes = [(line["route"], line["status"]) for line in access]
    assert sorted(routes)[-5:] == sorted(
        [("/v1/live", 101), *[("/v1/metrics", 200)] * 2, *[("other", 404)] * 2]
    )
    assert any(line["message"] == "a request was malformed" for line in lines)
    for secret in ("demo-read-key", "secret", "country", "somebody", "filter"):
        assert secret not in text


def test_the_service_without_its_history_is_degraded(valkey: ValkeyServer, tmp_path: Path) -> None:
    port = free_port()
    options = (f"--redis_url={valkey.address}", "--metrics_port=0")
    nobody = f"--history_url=clickhouse://default@{HOST}:{free_port()}/streamlens"
    with program("service", tmp_path, port, *options, nobody):
        status, body = ask(f"http://{HOST}:{port}/readyz")
    assert status == 200
    assert json.loads(body) == {"status": "degraded", "hot": "up", "history": "down"}


def test_the_service_with_its_history(
    valkey: ValkeyServer, clickhouse: ClickHouseServer, tmp_path: Path
) -> None:
    port = free_port()
    options = (f"--redis_url={valkey.address}", "--metrics_port=0")
    history = f"--history_url={clickhouse.reader_address}"
    with program("service", tmp_path, port, *options, history):
        status, body = ask(f"http://{HOST}:{port}/readyz")
    assert status == 200
    assert json.loads(body) == {"status": "ready", "hot": "up", "history": "up"}


@pytest.mark.timeout(300)
def test_the_job(kafka: KafkaServer, valkey: ValkeyServer, tmp_path: Path) -> None:
    topic = f"watched-job-{time.time_ns()}"
    ensure_topics(kafka.address, {topic: 2, "events-dead": TOPICS["events-dead"]})
    shown = free_port()
    name = "streamlens_job_"
    with socket.socket() as other:  # somebody has the first port: the job takes the next
        other.bind((HOST, shown))
        other.listen()
        options = [f"--topic={topic}", f"--metrics_port={shown}", "--readers=1"]
        options += ["--log_format=json"]
        job = start_job(kafka.address, valkey.address, tmp_path, *options)
    try:
        producer = Producer({"bootstrap.servers": kafka.address})
        for partition in (0, 1):
            for _ in range(3):
                payload = json.dumps(event() | {"project": "demo"}).encode()
                producer.produce(topic, payload, partition=partition)
            producer.produce(topic, b"\x00nothing", partition=partition)
        assert producer.flush(20) == 0

        def read() -> dict[str, float] | None:
            found = all_of(shown)
            done = found.get(f"{name}rows_decoded_total path=numbers") == 6
            return found if done and found[f"{name}panes_written_total store=hot"] else None

        found = wait_for("rows in the metrics", read, 60)
    finally:
        job.stop()
    assert complete(JOB, found)
    assert found[f"{name}messages_total path=numbers"] == 8
    assert found[f"{name}dead_letters_total reason=message_undecodable"] == 2
    assert found[f"{name}store_write_seconds_count store=hot"] > 0
    assert found[f"{name}store_retries_total store=hot"] == 0
    for partition in (0, 1):
        assert found[f"{name}consumer_lag_messages partition={partition} path=numbers"] == 0
        assert found[f"{name}watermark_lag_seconds partition={partition}"] >= 0
    lines = [line for line in job.log_path.read_text().splitlines() if line.startswith("{")]
    told = [json.loads(line) for line in lines]
    assert f"metrics: http://{HOST}:{shown + 1}/metrics" in [line["message"] for line in told]


class Beating(ManagedProcess):
    """Beats for a while, and hangs."""

    def __init__(self, folder: Path, redis_url: str) -> None:
        super().__init__("beating", folder / "beating.log", stop_grace=5)
        self._url = redis_url

    def command(self) -> Sequence[str]:
        code = (
            "import redis, time\n"
            f"client = redis.Redis.from_url({self._url!r})\n"
            "for _ in range(3):\n"
            f"    client.incr({layout.SEEN!r}); time.sleep(0.3)\n"
            "time.sleep(600)\n"
        )
        return [sys.executable, "-c", code]

    def is_ready(self) -> bool:
        return True


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "STALLED_EVERY", 0.1)


@pytest.mark.usefixtures("quick")
def test_a_job_that_hangs_is_started_again(
    valkey: ValkeyServer, client: redis.Redis, tmp_path: Path
) -> None:
    lines: list[str] = []
    stopping = threading.Event()
    stalled = Stalled(last_seen(valkey.address), 2)
    unit = Unit(Beating(tmp_path, valkey.address), "nothing", hung=stalled)
    one = Supervisor([unit], PidFile(tmp_path, "run"), lines.append, stopping)
    assert one.start()
    first = unit.process.pid
    watcher = threading.Thread(target=one.run)
    watcher.start()
    try:
        wait_for("second start", lambda: sum("ready" in line for line in lines) == 2, 30)
        assert unit.process.pid != first
    finally:
        stopping.set()
        watcher.join(20)
        one.stop()
    assert any("hangs (no heartbeat for" in line for line in lines)
