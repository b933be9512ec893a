"""`make run`: the whole product on one machine, real servers made small, no Docker.

Starts Kafka, Valkey, ClickHouse, the Beam job on embedded Flink, the collector, the service and
demo traffic, each in its own process group with its log in `.run/logs`, and keeps them alive until
Ctrl-C.

Exit codes: 0 stopped on request, 1 something could not be started or kept alive (or another run is
alive), 2 the machine is not prepared.
"""

import contextlib
import os
import signal
import sys
import threading
import uuid
from collections.abc import Sequence
from pathlib import Path

from deploy import children
from deploy.artifacts import ArtifactError, Jars, ensure_geo, ensure_jars, jars_present
from deploy.clickhouse import ClickHouseServer
from deploy.clickhouse_binary import ensure_clickhouse
from deploy.history import ensure_schema
from deploy.identity import MARK
from deploy.pidfile import PidFile, end_leftovers
from deploy.ports import HOST
from deploy.preflight import problems
from deploy.services import KafkaServer, TopicError, ValkeyServer, ensure_topics
from deploy.settings import Settings
from deploy.supervisor import GiveUp, Supervisor, Unit
from serving.projects import DEMO_READ_KEY, DEMO_WRITE_KEY
from serving.secret import write_secret
from stores.contract import StoreUnavailable
from stores.layout import HEARTBEAT


def say(line: str) -> None:
    """One line to the person; a closed terminal must not keep us from stopping the children."""
    with contextlib.suppress(OSError):
        print(line, flush=True)


def units(settings: Settings, jars: Jars, geo: Path | None, run_id: str) -> list[Unit]:
    """The children in starting order."""
    mark = {MARK: run_id}
    commands = children.commands(settings, jars.flink_job_server, geo)

    def python(name: str, ready: children.Ready, within: float) -> children.PythonChild:
        return children.PythonChild(
            name,
            commands[name],
            ready,
            log_path=settings.logs / f"{name}.log",
            environment=mark,
            ready_within=within,
        )

    kafka = KafkaServer(
        settings.run_dir / "kafka",
        settings.kafka_port,
        log_path=settings.logs / "kafka.log",
        environment=mark,
    )
    valkey = ValkeyServer(
        settings.valkey_port,
        settings.run_dir / "valkey",
        persistence=True,
        log_path=settings.logs / "valkey.log",
        environment=mark,
    )
    job = python("pipeline", children.heartbeat_fresh(settings.redis_url), 240)
    stalled = children.Stalled(children.last_seen(settings.redis_url), settings.hung_seconds)
    hung = stalled if settings.hung_seconds else lambda _: None
    collector = python("collector", children.answers_ready(settings.collector_port), 60)
    service = python("service", children.answers_ready(settings.service_port), 60)
    stack = [
        Unit(kafka, "the broker's metadata", lambda: ensure_topics(settings.kafka)),
        Unit(valkey, "PING"),
    ]
    if settings.history:
        clickhouse = ClickHouseServer(
            settings.run_dir / "clickhouse",
            settings.clickhouse_port,
            settings.clickhouse_tcp_port,
            log_path=settings.logs / "clickhouse.log",
            environment=mark,
        )
        stack.append(Unit(clickhouse, "SELECT 1", lambda: ensure_schema(settings.history_url)))
    stack += [
        Unit(
            job,
            f"the job's heartbeat ({HEARTBEAT})",
            hung=hung,
            stays_down=(children.STOPPED,),
            says="pipelines.main: ",
        ),
        Unit(collector, "GET /readyz"),
        Unit(service, "GET /readyz"),
    ]
    if settings.demo_rate > 0:
        stack.append(Unit(python("demo", children.lives(1.0), 30), "its first second"))
    return stack


def summary(settings: Settings, stack: Sequence[Unit]) -> str:
    """The table shown when everything is up."""
    addresses = {
        "kafka": settings.kafka,
        "valkey": settings.redis_url,
        "clickhouse": settings.history_url,
        "pipeline": f"Beam on embedded Flink, parallelism {settings.parallelism}",
        "collector": f"{settings.collector_url}/v1/events",
        "service": settings.service_url,
        "demo": f"about {settings.demo_rate} events/s",
    }
    width = max(len(text) for text in addresses.values())
    lines = [f"  {'name':<10} {'pid':>7}  {'where':<{width}}  log"]
    lines += [
        f"  {unit.name:<10} {unit.process.pid:>7}  {addresses[unit.name]:<{width}}  "
        f"{_short(unit.process.log_path)}"
        for unit in stack
    ]
    if not settings.projects:
        lines += ["", f"  project demo: write key {DEMO_WRITE_KEY}, read key {DEMO_READ_KEY}"]
    return "\n".join(lines)


def watching(settings: Settings) -> str:
    """One line: where the metrics are."""
    ports = {
        "collector": settings.collector_metrics_port,
        "service": settings.service_metrics_port,
        "job": settings.job_metrics_port,
    }
    shown = [f"http://{HOST}:{port}/metrics ({name})" for name, port in ports.items() if port]
    if not shown:
        return "Metrics: off"
    return f"Metrics: {', '.join(shown)}, or the next free port, see its log; docs/metrics.md"


def _short(path: Path) -> str:
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until told to stop. Returns the exit code."""
    settings = Settings.parse(sys.argv[1:] if arguments is None else arguments, os.environ)
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stopping.set())

    run_id = uuid.uuid4().hex
    pid_file = PidFile(settings.run_dir, run_id)
    holder = pid_file.acquire()
    if holder is not None:
        say(f"make run is running already (pid {holder}): stop it first (Ctrl-C there)")
        return 1
    ended = end_leftovers(pid_file.leftovers())
    if ended:
        say(f"stopped what a crashed run had left: {', '.join(ended)}")
    try:
        return _run(settings, pid_file, run_id, stopping)
    finally:
        pid_file.release()


def _run(settings: Settings, pid_file: PidFile, run_id: str, stopping: threading.Event) -> int:
    names = ["kafka_port", "valkey_port", "collector_port", "service_port"]
    if settings.history:
        names += ["clickhouse_port", "clickhouse_tcp_port"]
    ports = {name: getattr(settings, name) for name in names}
    found = problems(ports, jars_built=jars_present())
    for problem in found:
        say(problem)
    if found:
        return 2
    try:
        jars = ensure_jars(say)
        if settings.history:
            ensure_clickhouse(say)
    except ArtifactError as error:
        say(str(error))
        return 1
    geo = Path(settings.geo_database) if settings.geo_database else ensure_geo(say)
    if geo is not None and not geo.exists():
        say(f"no such country database: {geo} (setting STREAMLENS_GEO_DATABASE)")
        return 2

    if not settings.secret.exists():
        write_secret(settings.secret)
    stack = units(settings, jars, geo, run_id)
    supervisor = Supervisor(stack, pid_file, say, stopping)
    code = 0
    try:
        if supervisor.start():
            say("")
            say(summary(settings, stack))
            say("")
            say(watching(settings))
            say(f"Dashboard: {settings.service_url}/   (Ctrl-C stops everything)")
            supervisor.run()
    except (GiveUp, TopicError, StoreUnavailable) as error:
        say(str(error))
        code = 1
    finally:
        say("stopping")
        supervisor.stop()
    return code


if __name__ == "__main__":
    sys.exit(main())
