import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]
import pytest
from apache_beam.portability.api import (
    beam_fn_api_pb2,
    beam_provision_api_pb2,
    beam_provision_api_pb2_grpc,
    beam_runner_api_pb2,
)
from google.protobuf import text_format

from deploy.identity import start_time
from deploy.worker_pool import BootError, WorkerPool, worker_environment
from tests.integration.waiting import wait_for

# Instead of deploy.spare_worker: files in the folder say who waits, and who was told to be whom.
SPARE = """
import json, os, pathlib, sys, time
folder = pathlib.Path(sys.argv[1])
(folder / f"{os.getpid()}.spare").touch()
line = sys.stdin.readline()
if line:
    (folder / "half").write_text(json.loads(line)["WORKER_ID"])
    (folder / "half").rename(folder / f"{os.getpid()}.worker")
    time.sleep(600)
"""
NEVER = 600.0  # seconds


class Provision(beam_provision_api_pb2_grpc.ProvisionServiceServicer):
    """The runner's side: what it says of a job."""

    def __init__(self) -> None:
        self.info = beam_provision_api_pb2.ProvisionInfo()
        self.asked_by = ""

    def GetProvisionInfo(self, _: Any, context: Any) -> Any:
        self.asked_by = dict(context.invocation_metadata())["worker_id"]
        return beam_provision_api_pb2.GetProvisionInfoResponse(info=self.info)

    def stage(self, name: str) -> None:
        role = beam_runner_api_pb2.ArtifactStagingToRolePayload(staged_name=name)
        self.info.dependencies.add(role_payload=role.SerializeToString())


@pytest.fixture
def runner() -> Iterator[tuple[Provision, Any]]:
    """A provision service, and a request for a worker that names it."""
    provision = Provision()
    server = grpc.server(ThreadPoolExecutor(1))
    beam_provision_api_pb2_grpc.add_ProvisionServiceServicer_to_server(provision, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    request = beam_fn_api_pb2.StartWorkerRequest(worker_id="3-1")
    request.provision_endpoint.url = f"127.0.0.1:{port}"
    request.control_endpoint.url = "localhost:1"
    request.logging_endpoint.url = "localhost:2"
    yield provision, request
    server.stop(None).wait(5)


def test_a_worker_gets_its_id_endpoints_and_options(runner: tuple[Provision, Any]) -> None:
    provision, request = runner
    provision.info.pipeline_options.update({"beam:option:streaming:v1": True})
    provision.info.runner_capabilities.append(
        "beam:protocol:control_response_elements_embedding:v1"
    )
    provision.stage("submission_environment_dependencies.txt")
    environment = worker_environment(request)
    assert provision.asked_by == environment["WORKER_ID"] == "3-1"
    assert json.loads(environment["PIPELINE_OPTIONS"]) == {"beam:option:streaming:v1": True}
    control = text_format.Parse(
        environment["CONTROL_API_SERVICE_DESCRIPTOR"], type(request.control_endpoint)()
    )
    assert control.url == "localhost:1"
    assert environment["RUNNER_CAPABILITIES"].startswith("beam:protocol:control_response")


def test_a_job_with_a_setup_file_is_refused(runner: tuple[Provision, Any]) -> None:
    provision, request = runner
    provision.stage("workflow.tar.gz")
    with pytest.raises(BootError, match="without --setup_file"):
        worker_environment(request)
    answer = WorkerPool().StartWorker(request, None)
    assert answer.error.startswith("BootError: ['workflow.tar.gz']")


@pytest.fixture
def pools(tmp_path: Path) -> Iterator[Callable[..., WorkerPool]]:
    """Makes pools of such processes, which end with the test."""
    made = []

    def make(spares: int, refill: float = NEVER) -> WorkerPool:
        command = (sys.executable, "-c", SPARE, str(tmp_path))
        made.append(WorkerPool(spares, command=command, refill=refill))
        return made[-1]

    yield make
    for pool in made:
        pool.close()


def pids(folder: Path, what: str) -> set[int]:
    return {int(file.stem) for file in folder.glob(f"*.{what}")}


def start(pool: WorkerPool, request: Any, folder: Path) -> int:
    """The pid of the worker that was started."""
    before = pids(folder, "worker")
    assert pool.StartWorker(request, None).error == ""
    pid = wait_for("worker", lambda: pids(folder, "worker") - before, 20).pop()
    assert (folder / f"{pid}.worker").read_text() == request.worker_id
    return pid


def test_without_a_spare_a_worker_is_a_new_process(
    runner: tuple[Provision, Any], pools: Callable[..., WorkerPool], tmp_path: Path
) -> None:
    pool = pools(0)
    pool.fill()
    pid = start(pool, runner[1], tmp_path)
    pool.StopWorker(runner[1], None)
    assert start_time(pid) is None


def test_a_spare_becomes_the_worker_and_is_replaced(
    runner: tuple[Provision, Any], pools: Callable[..., WorkerPool], tmp_path: Path
) -> None:
    pool = pools(2, refill=0.1)
    pool.fill()
    spares = wait_for("two spares", lambda: two(pids(tmp_path, "spare")), 20)
    used = start(pool, runner[1], tmp_path)
    assert used in spares
    (new,) = wait_for("another spare", lambda: pids(tmp_path, "spare") - spares, 20)
    pool.fill()
    assert pids(tmp_path, "spare") == {*spares, new}
    pool.close()
    assert {start_time(pid) for pid in (*spares, new)} == {None}


def two(found: set[int]) -> set[int] | None:
    return found if len(found) == 2 else None


def test_no_spare_is_made_soon_after_a_start(
    runner: tuple[Provision, Any], pools: Callable[..., WorkerPool], tmp_path: Path
) -> None:
    pool = pools(1)
    pool.fill()
    first = start(pool, runner[1], tmp_path)
    runner[1].worker_id = "3-2"
    second = start(pool, runner[1], tmp_path)
    assert pids(tmp_path, "spare") == {first, second}


def test_a_spare_that_died_is_passed_over(
    runner: tuple[Provision, Any], pools: Callable[..., WorkerPool], tmp_path: Path
) -> None:
    pool = pools(1)
    pool.fill()
    (spare,) = wait_for("spare", lambda: pids(tmp_path, "spare"), 20)
    os.kill(spare, signal.SIGKILL)
    wait_for("its end", lambda: start_time(spare) is None, 20)
    assert start(pool, runner[1], tmp_path) != spare
