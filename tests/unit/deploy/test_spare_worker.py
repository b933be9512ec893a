import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc  # type: ignore[import-untyped]
import pytest
from apache_beam.portability.api import beam_fn_api_pb2_grpc, endpoints_pb2

from deploy.artifacts import REPO
from deploy.identity import WORKER, name_of
from tests.integration.waiting import wait_for


class Control(beam_fn_api_pb2_grpc.BeamFnControlServicer):
    """The runner's side: which workers have come. Sends each away at once."""

    def __init__(self) -> None:
        self.came: list[str] = []

    def Control(self, _: Any, context: Any) -> Iterator[Any]:
        self.came.append(dict(context.invocation_metadata())["worker_id"])
        return iter(())


@pytest.fixture
def spare() -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "deploy.spare_worker"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, cwd=REPO) as process:
        yield process
        process.kill()


def test_one_that_nobody_wants_ends(spare: subprocess.Popen[bytes]) -> None:
    spare.communicate(timeout=60)
    assert spare.returncode == 0


def test_it_becomes_the_worker_that_it_is_told_to_be(spare: subprocess.Popen[bytes]) -> None:
    control = Control()
    server = grpc.server(ThreadPoolExecutor(1))
    beam_fn_api_pb2_grpc.add_BeamFnControlServicer_to_server(control, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    assert name_of(spare.pid) != WORKER
    endpoint = endpoints_pb2.ApiServiceDescriptor(url=f"127.0.0.1:{port}")
    told = {"WORKER_ID": "3-1", "CONTROL_API_SERVICE_DESCRIPTOR": str(endpoint)}
    assert spare.stdin is not None
    spare.stdin.write(json.dumps(told).encode() + b"\n")
    spare.stdin.flush()
    wait_for("worker", lambda: control.came == ["3-1"], 60)
    assert name_of(spare.pid) == WORKER
    server.stop(None).wait(5)
