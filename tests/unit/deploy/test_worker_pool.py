import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
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

from deploy.worker_pool import BootError, WorkerPool, worker_environment


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
