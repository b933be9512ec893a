"""A real ClickHouse server for the local stack and for tests: one process, without Docker.

with ClickHouseServer(tmp / "clickhouse", free_port(), free_port()) as server:
    ClickHouseStore(server.address, server.reader_address)
"""

from collections.abc import Mapping, Sequence
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

from deploy.clickhouse_binary import ensure_clickhouse
from deploy.ports import HOST
from deploy.process import ManagedProcess

READER: Final = "reader"
MAX_READ_SECONDS: Final = 30  # hard limits of one query of the reader; a query may ask for less
MAX_READ_ROWS: Final = 500_000_000
MAX_READ_BYTES_OF_MEMORY: Final = 1_000_000_000
_MEGABYTE: Final = 1024 * 1024


class ClickHouseServer(ManagedProcess):
    """One server on 127.0.0.1: HTTP and the native protocol. Ready in 1 to 2 s, about 350 MB.

    `data_dir` is kept: a restart, also after kill -9, continues with its tables. Two users without
    passwords, for this machine only: `default` may do everything; `reader` may only SELECT from
    databases whose names begin with `database`, within the hard limits above.
    """

    def __init__(
        self,
        data_dir: Path,
        http_port: int,
        tcp_port: int,
        *,
        database: str = "streamlens",
        memory: int = 2_000_000_000,  # bytes, of the whole server
        log_path: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(
            "clickhouse",
            log_path or data_dir / "server.log",
            # A watchdog process would survive kill -9 of the group's leader.
            environment={"CLICKHOUSE_WATCHDOG_ENABLE": "0", **(environment or {})},
            ready_within=60,
            stop_grace=20,
        )
        self.data_dir = data_dir.resolve()
        self.http_port = http_port
        self.tcp_port = tcp_port
        self.database = database
        self.memory = memory

    @property
    def address(self) -> str:
        """The URL of the user that writes."""
        return f"clickhouse://default@{HOST}:{self.http_port}/{self.database}"

    @property
    def reader_address(self) -> str:
        """The URL of the user that only reads."""
        return f"clickhouse://{READER}@{HOST}:{self.http_port}/{self.database}"

    def prepare(self) -> None:
        """Write config.xml and users.xml."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self._config.write_text(_xml(_server_settings(self)))
        (self.data_dir / "users.xml").write_text(_xml(_users(self.database)))

    def command(self) -> Sequence[str]:
        """The server. Fetches it first when it is not on this machine."""
        return [*ensure_clickhouse(), f"--config-file={self._config}"]

    def is_ready(self) -> bool:
        """Whether it answers SELECT 1."""
        connection = HTTPConnection(HOST, self.http_port, timeout=1)
        try:
            connection.request("GET", "/?query=SELECT%201")
            return connection.getresponse().read() == b"1\n"
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    @property
    def _config(self) -> Path:
        return self.data_dir / "config.xml"


# A setting's value, several of the same name, or settings below it.
Tree = Mapping[str, "str | int | Sequence[str] | Tree"]


def _server_settings(server: ClickHouseServer) -> Tree:
    """config.xml: everything on one interface, few threads, small caches, no system logs."""
    data = server.data_dir
    return {
        "logger": {"level": "warning", "console": 1},  # to stderr, which is the log file
        "listen_host": HOST,
        "http_port": server.http_port,
        "tcp_port": server.tcp_port,
        "path": f"{data}/data/",
        "tmp_path": f"{data}/tmp/",
        "user_files_path": f"{data}/user_files/",
        "format_schema_path": f"{data}/format_schemas/",
        "users_config": "users.xml",
        "default_profile": "default",
        "default_database": "default",
        "timezone": "UTC",
        "mlock_executable": "false",
        "max_server_memory_usage": server.memory,
        "mark_cache_size": 128 * _MEGABYTE,
        "uncompressed_cache_size": 0,
        "index_mark_cache_size": 16 * _MEGABYTE,
        "mmap_cache_size": 0,
        "compiled_expression_cache_size": 16 * _MEGABYTE,
        "query_cache": {"max_size_in_bytes": 0},
        "max_concurrent_queries": 64,
        "max_connections": 256,
        "keep_alive_timeout": 60,
        "shutdown_wait_unfinished": 1,  # seconds, for idle connections too
        "background_pool_size": 2,
        "background_merges_mutations_concurrency_ratio": 2,
        "background_schedule_pool_size": 8,
        "background_fetches_pool_size": 1,
        "background_move_pool_size": 1,
        "background_common_pool_size": 2,
        "background_message_broker_schedule_pool_size": 1,
        "background_distributed_schedule_pool_size": 1,
        "tables_loader_foreground_pool_size": 2,
        "tables_loader_background_pool_size": 2,
        "async_insert_threads": 1,
        "max_thread_pool_size": 200,
        "merge_tree": {
            # These three must fit the small pool above.
            "number_of_free_entries_in_pool_to_lower_max_size_of_merge": 1,
            "number_of_free_entries_in_pool_to_execute_mutation": 1,
            "number_of_free_entries_in_pool_to_execute_optimize_entire_partition": 1,
        },
    }


def _users(database: str) -> Tree:
    """users.xml: who may do what. `readonly` 2 lets a query set its own, lower limits."""
    here: Tree = {"ip": [HOST, "::1"]}
    return {
        "profiles": {
            "default": {
                "max_threads": 2,
                "max_insert_threads": 1,
                # A query that needs more goes to disk or fails alone.
                "max_memory_usage": MAX_READ_BYTES_OF_MEMORY,
                "max_bytes_before_external_group_by": MAX_READ_BYTES_OF_MEMORY // 2,
                "max_bytes_before_external_sort": MAX_READ_BYTES_OF_MEMORY // 2,
                "log_queries": 0,
            },
            READER: {
                "readonly": 2,
                "max_threads": 2,
                "max_execution_time": MAX_READ_SECONDS,
                "max_memory_usage": MAX_READ_BYTES_OF_MEMORY,
                "max_rows_to_read": MAX_READ_ROWS,
                "log_queries": 0,
                # 0 would mean no limit, so each has a lower bound too.
                "constraints": {
                    "max_execution_time": {"min": 1, "max": MAX_READ_SECONDS},
                    "max_memory_usage": {"min": 1, "max": MAX_READ_BYTES_OF_MEMORY},
                    "max_rows_to_read": {"min": 1, "max": MAX_READ_ROWS},
                    "max_threads": {"max": 2},
                },
            },
        },
        "users": {
            "default": {
                "password": "",
                "networks": here,
                "profile": "default",
                "quota": "default",
                "access_management": 1,
            },
            READER: {
                "password": "",
                "networks": here,
                "profile": READER,
                "quota": "default",
                "grants": {"query": f"GRANT SELECT ON {database}*.*"},
            },
        },
        "quotas": {"default": ""},
    }


def _xml(tree: Tree) -> str:
    return f"<clickhouse>\n{_elements(tree)}</clickhouse>\n"


def _elements(tree: Tree) -> str:
    parts = []
    for name, value in tree.items():
        if isinstance(value, Mapping):
            parts.append(f"<{name}>\n{_elements(value)}</{name}>\n")
            continue
        several = [value] if isinstance(value, str | int) else value
        parts += [f"<{name}>{escape(str(each))}</{name}>\n" for each in several]
    return "".join(parts)
