"""What stands in for BigQuery in tests, since there is no GCP here: an emulator and an analyzer.

`bqemulator` is a server with BigQuery's REST and gRPC interfaces over DuckDB; the real client
libraries talk to it, the Storage Write API included. It proves that what we send is well formed,
that what comes back is read right, and that the SQL gives the answers of the contract, as DuckDB
understands the translation of it. `zetasql` is Google's analyzer of BigQuery's dialect: it proves
that BigQuery would parse every statement, know its functions and agree with its types.

Neither proves: that partitions and blocks are skipped and so what a question costs, the limit on
bytes billed, quotas, permissions, partition expiry, how fast anything is, errors and retries of the
real service, that a MERGE and appends at the same time do not harm each other, or Beam's writing
through its Java transform. The emulator ignores partitions, clusters and limits.
"""

import os
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import grpc  # type: ignore[import-untyped]
from google.api_core import exceptions
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from google.cloud.bigquery_storage_v1 import BigQueryWriteClient
from google.cloud.bigquery_storage_v1.services.big_query_write.transports import (
    BigQueryWriteGrpcTransport,
)

from deploy.artifacts import REPO, cache_home, kept, run_tool, stamp_of
from deploy.clickhouse_binary import installer
from deploy.ports import HOST
from deploy.process import ManagedProcess
from stores.bigquery import BigQuerySettings, BigQueryStore

PROJECT: Final = "test-project"
_HERE: Final = Path(__file__).resolve().parent
_REQUIREMENTS: Final = REPO / "requirements" / "bqemulator.txt"


def ensure_emulator() -> Path:
    """The folder of packages, installed once (0.5 GB unpacked).

    Safe to call from several processes at once. Raises `ArtifactError`.
    """
    home = cache_home() / "bqemulator"

    def make(folder: Path) -> Path:
        target = folder / "packages"
        install = [*installer(), "--require-hashes", "--target", str(target)]
        run_tool([*install, "-r", str(_REQUIREMENTS)], home, "the installation of bqemulator", 900)
        return target

    return kept(home / "packages", home / "stamp", stamp_of([_REQUIREMENTS]), make)


def python(program: str) -> list[str]:
    """The command of a program beside this file that sees no packages but PYTHONPATH's."""
    return [sys.executable, "-S", "-P", str(_HERE / program)]


class BigQueryEmulator(ManagedProcess):
    """One emulator on 127.0.0.1, in memory. Ready in about 3 s."""

    def __init__(self, folder: Path, rest: int, grpc_port: int) -> None:
        super().__init__(
            "bqemulator",
            folder / "server.log",
            environment={
                "PYTHONPATH": str(ensure_emulator()),
                "BQEMU_ENABLE_FORMAT_EXTENSIONS": "false",
                "BQEMU_QUERY_CACHE_TTL_SECONDS": "0",
            },
        )
        self.rest, self.grpc_port = rest, grpc_port

    def command(self) -> Sequence[str]:
        """The server; quiet."""
        ports = ["--rest-port", str(self.rest), "--grpc-port", str(self.grpc_port)]
        return [*python("bigquery_main.py"), "start", *ports, "--log-level", "warning"]

    def is_ready(self) -> bool:
        """Whether it answers."""
        try:
            with urllib.request.urlopen(f"http://{HOST}:{self.rest}/healthz", timeout=1) as reply:
                return bool(reply.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def client(self) -> bigquery.Client:
        """The real client, before this server."""
        return _Client(
            project=PROJECT,
            credentials=_anonymous(),
            client_options=ClientOptions(api_endpoint=f"http://{HOST}:{self.rest}"),
        )

    def writer(self) -> Any:
        """The real client of the Storage Write API, before this server."""
        channel = grpc.insecure_channel(f"{HOST}:{self.grpc_port}")
        return _writer(transport=_transport(channel=channel))

    def store(self, dataset: str, **limits: Any) -> BigQueryStore:
        """A store on a dataset of this server; `limits` are fields of the settings."""
        settings = BigQuerySettings(f"{PROJECT}.{dataset}", **limits)
        return BigQueryStore(settings, self.client(), self.writer())


class _Client(bigquery.Client):
    """The emulator answers 200 with `errors` where BigQuery answers 404 or 400: so say it here."""

    def _call_api(self, *args: Any, **options: Any) -> Any:
        reply = super()._call_api(*args, **options)
        for error in reply.get("errors", ()) if isinstance(reply, dict) else ():
            status = 404 if error["reason"] == "notFound" else 400
            raise _api.from_http_status(status, error["message"], errors=[error])
        return reply


def environment() -> dict[str, str]:
    """Of a program run with `python`."""
    return {**os.environ, "PYTHONPATH": str(ensure_emulator())}


# These have no types.
_api: Any = exceptions
_anonymous: Any = AnonymousCredentials
_writer: Any = BigQueryWriteClient
_transport: Any = BigQueryWriteGrpcTransport
