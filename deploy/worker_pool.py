"""A Beam worker pool without containers, for `--environment_type=EXTERNAL`.

    python -m deploy.worker_pool --port 50000     # --environment_config=127.0.0.1:50000

One on the host of each Flink TaskManager, with this repository as working folder (or on PYTHONPATH)
and its requirements installed. The TaskManager asks for a worker process at the start of a job and
gives addresses of its own loopback interface, so a pool on another host cannot serve it.

Beam has a pool too (`apache_beam.runners.worker.worker_pool_main`). It listens on all interfaces,
though it starts processes for anybody who asks; its plain workers get no pipeline options, so no
state cache and no log in Flink; and its `--container_executable` needs a boot program of one's own.
"""

import argparse
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import grpc  # type: ignore[import-untyped]
from apache_beam.portability.api import (
    beam_fn_api_pb2,
    beam_fn_api_pb2_grpc,
    beam_provision_api_pb2,
    beam_provision_api_pb2_grpc,
    beam_runner_api_pb2,
)
from google.protobuf import json_format

from deploy.ports import HOST

_log = logging.getLogger(__name__)
_TIMEOUT: Final = 30.0  # seconds that the runner has to answer
_GRACE: Final = 10.0  # seconds between SIGTERM and SIGKILL
# Beam stages this list by itself; nobody needs it to run.
_HARMLESS: Final = frozenset({"submission_environment_dependencies.txt"})


class BootError(RuntimeError):
    """A worker cannot be started; the message goes to the TaskManager's log."""


class WorkerPool(beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolServicer):
    """Starts and stops SDK workers, one process each."""

    def __init__(self) -> None:
        self._workers: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()

    def StartWorker(self, request: Any, _: Any) -> Any:
        """One worker process; the answer's `error` says why there is none."""
        try:
            environment = worker_environment(request)
            worker = subprocess.Popen(
                [sys.executable, "-m", "apache_beam.runners.worker.sdk_worker_main"],
                stdin=subprocess.DEVNULL,
                env={**os.environ, **environment},
            )
        except (BootError, OSError, grpc.RpcError) as error:
            _log.error("worker %s was not started: %s", request.worker_id, error)
            return beam_fn_api_pb2.StartWorkerResponse(error=f"{type(error).__name__}: {error}")
        _log.info("worker %s started, pid %d", request.worker_id, worker.pid)
        with self._lock:
            # Asking for exit codes reaps those that ended by themselves, as when Flink dies.
            self._workers = {k: w for k, w in self._workers.items() if w.poll() is None}
            self._workers[request.worker_id] = worker
        return beam_fn_api_pb2.StartWorkerResponse()

    def StopWorker(self, request: Any, _: Any) -> Any:
        """SIGTERM, SIGKILL after the grace time. A worker that is unknown is gone already."""
        with self._lock:
            worker = self._workers.pop(request.worker_id, None)
        if worker is not None:
            _end([worker])
            _log.info("worker %s stopped", request.worker_id)
        return beam_fn_api_pb2.StopWorkerResponse()

    def close(self) -> None:
        """Stop all."""
        with self._lock:
            workers = list(self._workers.values())
        _end(workers)


def worker_environment(request: Any) -> Mapping[str, str]:
    """What `sdk_worker_main` reads: endpoints, its id, and the options of the job.

    Raises BootError when the job wants files staged: the code is installed here, not fetched.
    """
    caller = ("worker_id", request.worker_id)
    with grpc.insecure_channel(request.provision_endpoint.url) as channel:
        stub = beam_provision_api_pb2_grpc.ProvisionServiceStub(channel)
        question = beam_provision_api_pb2.GetProvisionInfoRequest()
        info = stub.GetProvisionInfo(question, timeout=_TIMEOUT, metadata=[caller]).info
    staged = {_staged_name(dependency) for dependency in info.dependencies} - _HARMLESS
    if staged:
        raise BootError(f"{sorted(staged)} would have to be fetched; submit without --setup_file")
    return {
        "WORKER_ID": request.worker_id,
        "PIPELINE_OPTIONS": json_format.MessageToJson(info.pipeline_options),
        "CONTROL_API_SERVICE_DESCRIPTOR": str(request.control_endpoint),
        "LOGGING_API_SERVICE_DESCRIPTOR": str(request.logging_endpoint),
        "RUNNER_CAPABILITIES": " ".join(info.runner_capabilities),
    }


def _staged_name(dependency: Any) -> str:
    role = beam_runner_api_pb2.ArtifactStagingToRolePayload.FromString(dependency.role_payload)
    return str(role.staged_name)


def _end(workers: Sequence[subprocess.Popen[bytes]]) -> None:
    for worker in workers:
        worker.terminate()
    for worker in workers:
        try:
            worker.wait(_GRACE)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait(_GRACE)


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or Ctrl-C."""
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
        force=True,  # a library has configured it while being imported
    )
    parser = argparse.ArgumentParser(prog="python -m deploy.worker_pool", description=__doc__)
    parser.add_argument("--port", type=int, default=50000, help="Of 127.0.0.1.")
    arguments = parser.parse_args(argv)
    pool = WorkerPool()
    server = grpc.server(ThreadPoolExecutor(8), options=[("grpc.so_reuseport", 0)])
    beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(pool, server)
    try:
        server.add_insecure_port(f"{HOST}:{arguments.port}")
    except RuntimeError as error:
        print(f"deploy.worker_pool: {error}", file=sys.stderr)
        return 2
    server.start()
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    _log.info("listening at %s:%d", HOST, arguments.port)
    stopped.wait()
    server.stop(1).wait(_GRACE)
    pool.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
