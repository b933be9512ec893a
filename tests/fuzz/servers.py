"""Real servers behind the targets that speak over sockets, in a temporary folder."""

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from deploy.children import PythonChild, answers_ready
from deploy.clickhouse import ClickHouseServer
from deploy.history import ensure_schema
from deploy.ports import free_port
from deploy.services import KafkaServer, ValkeyServer, ensure_topics
from stores.clickhouse_tables import Options
from tests.fuzz.http import HttpTarget
from tests.fuzz.report import resident_mb_of
from tests.fuzz.service import ServiceTarget

# All cases come from one address, with keys from chance.
_UNLIMITED: Final = {
    "collector": ["--requests_per_ip=0"],
    "service": ["--requests_per_ip=0", "--requests_per_key=0"],
}


def collector(stack: ExitStack) -> tuple[HttpTarget, int]:
    """A collector with Kafka and Valkey, as the target of cases; and its pid."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fuzz-")))
    valkey = stack.enter_context(ValkeyServer(free_port(), folder / "valkey", persistence=False))
    kafka = stack.enter_context(KafkaServer(folder / "kafka", free_port()))
    ensure_topics(kafka.address)
    port = free_port()
    where = ["--kafka_bootstrap", kafka.address, "--redis_url", valkey.address, "--linger_ms", "1"]
    child = stack.enter_context(program("collector", where, port, folder))
    return HttpTarget(port), busiest(child)


def service(stack: ExitStack, *, history: bool = True) -> tuple[ServiceTarget, int]:
    """A service with Valkey and perhaps ClickHouse, as the target of cases; its worker's pid."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fuzz-")))
    valkey = stack.enter_context(ValkeyServer(free_port(), folder / "valkey", persistence=False))
    options = ["--redis_url", valkey.address]
    if history:
        server = ClickHouseServer(folder / "clickhouse", free_port(), free_port())
        stack.enter_context(server)
        ensure_schema(server.address, Options(refresh_seconds=60))
        options += ["--history_url", server.reader_address]
    port = free_port()
    child = program("service", options, port, folder)
    stack.enter_context(child)
    return ServiceTarget(port), busiest(child)


def program(name: str, options: list[str], port: int, folder: Path) -> PythonChild:
    """A collector or a service, not started."""
    module = {"collector": "serving.collector", "service": "serving.app"}[name]
    return PythonChild(
        name,
        [module, "--port", str(port), "--metrics_port", "0", *_UNLIMITED[name], *options],
        answers_ready(port),
        log_path=folder / f"{name}.log",
        environment={},
        ready_within=60,
    )


def busiest(child: PythonChild) -> int:
    """The process that does the work: gunicorn's worker, or the process itself."""
    assert child.pid is not None
    listed = Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()
    return max((child.pid, *map(int, listed)), key=resident_mb_of)
