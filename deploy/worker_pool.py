"""A Beam worker pool without containers, for `--environment_type=EXTERNAL`.

    python -m deploy.worker_pool --port 50000     # --environment_config=127.0.0.1:50000

One on the host of each Flink TaskManager, with this repository as working folder (or on PYTHONPATH)
and its requirements installed. The TaskManager asks for a worker process at the start of a job and
gives addresses of its own loopback interface, so a pool on another host cannot serve it.

A worker spends its first seconds on imports. With `--spares` as many processes have that behind
them and wait (`deploy.spare_worker`); new ones are made a while after the last start of a worker,
so that they do not compete with a job that starts.

Beam has a pool too (`apache_beam.runners.worker.worker_pool_main`). It listens on all interfaces,
though it starts processes for anybody who asks; its plain workers get no pipeline options, so no
state cache and no log in Flink; and its `--container_executable` needs a boot program of one's own.
"""

import argparse
import json
import logging
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
_REFILL: Final = 60.0  # seconds without a start of a worker, after which new spares are made
_COMMAND: Final = (sys.executable, "-m", "deploy.spare_worker")
_Process = subprocess.Popen[bytes]
# Beam stages this list by itself; nobody needs it to run.
_HARMLESS: Final = frozenset({"submission_environment_dependencies.txt"})


class BootError(RuntimeError):
    """A worker cannot be started; the message goes to the TaskManager's log."""


class WorkerPool(beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolServicer):
    """Starts and stops SDK workers, one process each, and keeps `spares` ready.

    `command` starts a spare worker, `refill` is in seconds.
    """

    def __init__(
        self, spares: int = 0, *, command: Sequence[str] = _COMMAND, refill: float = _REFILL
    ) -> None:
        self._workers: dict[str, _Process] = {}
        self._spares: list[_Process] = []  # the oldest first
        self._wanted = spares
        self._command = command
        self._refill = refill
        self._timer: threading.Timer | None = None
        self._lock = threading.Lock()

    def fill(self) -> None:
        """Start the spares that are missing."""
        with self._lock:
            _end([spare for spare in self._spares if spare.poll() is not None])
            self._spares = [spare for spare in self._spares if spare.returncode is None]
            while len(self._spares) < self._wanted:
                self._spares.append(self._spawn())

    def StartWorker(self, request: Any, _: Any) -> Any:
        """One worker process; the answer's `error` says why there is none."""
        try:
            worker = self._start(worker_environment(request))
        except (BootError, OSError, grpc.RpcError) as error:
            _log.error("worker %s was not started: %s", request.worker_id, error)
            return beam_fn_api_pb2.StartWorkerResponse(error=f"{type(error).__name__}: {error}")
        _log.info("worker %s started, pid %d", request.worker_id, worker.pid)
        with self._lock:
            # Asking for exit codes reaps those that ended by themselves, as when Flink dies.
            self._workers = {k: w for k, w in self._workers.items() if w.poll() is None}
            self._workers[request.worker_id] = worker
            self._fill_later()
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
            self._wanted = 0
            if self._timer is not None:
                self._timer.cancel()
            processes = [*self._workers.values(), *self._spares]
        _end(processes)

    def _start(self, environment: Mapping[str, str]) -> _Process:
        """A spare, told what it is now; one that died meanwhile is dropped. Raises OSError."""
        while True:
            with self._lock:
                spare = self._spares.pop(0) if self._spares else None
            if spare is None:
                return _told(self._spawn(), environment)
            try:
                return _told(spare, environment)
            except BrokenPipeError:
                _end([spare])
                _log.warning("a spare worker had ended, code %s", spare.returncode)

    def _fill_later(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = threading.Timer(self._refill, self.fill)
        self._timer.daemon = True
        self._timer.start()

    def _spawn(self) -> _Process:
        return subprocess.Popen(self._command, stdin=subprocess.PIPE)


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


def _told(spare: _Process, environment: Mapping[str, str]) -> _Process:
    """The process, which is a worker from now on. Raises BrokenPipeError when it has ended."""
    assert spare.stdin is not None
    with spare.stdin as line:
        line.write(json.dumps(environment).encode() + b"\n")
    return spare


def _end(workers: Sequence[_Process]) -> None:
    for worker in workers:
        worker.terminate()
        if worker.stdin is not None:
            worker.stdin.close()
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
    parser.add_argument(
        "--spares", type=int, default=0, help="Workers kept ready; each holds about 180 MB."
    )
    arguments = parser.parse_args(argv)
    pool = WorkerPool(arguments.spares)
    server = grpc.server(ThreadPoolExecutor(8), options=[("grpc.so_reuseport", 0)])
    beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(pool, server)
    try:
        server.add_insecure_port(f"{HOST}:{arguments.port}")
    except RuntimeError as error:
        print(f"deploy.worker_pool: {error}", file=sys.stderr)
        return 2
    server.start()
    pool.fill()
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
