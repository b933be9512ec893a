"""The whole product as processes of its own, as `make run` starts them, without its history."""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Self

import msgspec

from benchmarks import unhindered
from benchmarks.dataset import PROJECT
from benchmarks.flow import Flow
from benchmarks.report import Pids
from deploy import children
from deploy.artifacts import ensure_geo, ensure_jars
from deploy.children import PythonChild
from deploy.ports import free_port
from deploy.settings import Settings
from serving.credentials import key_hash

WRITE_KEY: Final = "bench-write-key"
READ_KEY: Final = "bench-read-key"
_PATIENCE: Final = 60.0  # seconds for a start


class Product:
    """A `Flow` with its job running, `collectors` collectors before it and the service behind it.

    `job`: more options of `pipelines.main`; `collector` and `service`: of those.
    """

    def __init__(
        self,
        folder: Path,
        flow: Flow,
        *,
        collectors: int = 1,
        job: tuple[str, ...] = (),
        collector: tuple[str, ...] = (),
        service: tuple[str, ...] = (),
    ) -> None:
        self.flow = flow
        self._folder = folder
        self._job = job
        self._started = ExitStack()
        self._projects = folder / "projects.json"
        self.ports = tuple(free_port() for _ in range(collectors))
        self.service_port = free_port()
        self.collectors = [
            self._child("collector", port, number, unhindered.COLLECTOR + collector)
            for number, port in enumerate(self.ports)
        ]
        self.service = self._child("service", self.service_port, 0, unhindered.SERVICE + service)

    def __enter__(self) -> Self:
        project = {
            "name": PROJECT,
            "write_keys": [{"hash": key_hash(WRITE_KEY)}],
            "read_keys": [{"hash": key_hash(READ_KEY)}],
        }
        self._projects.write_bytes(msgspec.json.encode({"projects": [project]}))
        try:
            self.flow.start_job(*self._job)
            for child in (*self.collectors, self.service):
                self._started.enter_context(child)
        except BaseException:
            self._started.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._started.close()

    def parts(self) -> Mapping[str, Pids]:
        """Names of the processes that do the work, with their pids now."""
        return {
            "collector": lambda: [pid for child in self.collectors for pid in child.members()],
            **self.flow.parts(),
            "service": self.service.members,
        }

    def _child(self, name: str, port: int, number: int, more: tuple[str, ...]) -> PythonChild:
        """One of the programs of `make run`, with the benchmark's project."""
        settings = Settings(
            kafka_port=self.flow.kafka.port,
            valkey_port=self.flow.valkey.port,
            collector_port=port,
            service_port=port,
            collector_metrics_port=0,
            service_metrics_port=0,
            history=0,
        )
        command = children.commands(settings, ensure_jars().flink_job_server, ensure_geo())[name]
        return PythonChild(
            name,
            [*command, f"--projects={self._projects}", *more],
            children.answers_ready(port),
            log_path=self._folder / f"{name}{number}.log",
            environment={},
            ready_within=_PATIENCE,
        )
