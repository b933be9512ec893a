"""One connection to a ClickHouse server: its URL, its time limits, and what its errors mean.

A thin layer on `clickhouse-connect` (HTTP): no session, so threads and greenlets share a client;
values reach the server as bound parameters only; tables travel as Arrow.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self
from urllib.parse import parse_qs, unquote, urlsplit

import clickhouse_connect
import pyarrow as pa
from clickhouse_connect.driver import exceptions
from clickhouse_connect.driver.httputil import get_pool_manager
from urllib3.exceptions import HTTPError

from stores.contract import StoreUnavailable, TooMuch, line_of

CONNECT_SECONDS: Final = 3
WRITE_SECONDS: Final = 60  # of one insert; far below the margin of the rollups' views
_GRACE_SECONDS: Final = 5  # a socket waits so much longer than the server may work
_CONNECTIONS: Final = 16  # kept open

# Error codes of ClickHouse, src/Common/ErrorCodes.cpp.
_TOO_MUCH: Final = {
    158: "rows to read",  # TOO_MANY_ROWS
    159: "time",  # TIMEOUT_EXCEEDED
    160: "time",  # TOO_SLOW
    241: "memory",  # MEMORY_LIMIT_EXCEEDED
    307: "bytes to read",  # TOO_MANY_BYTES
    396: "rows of the result",  # TOO_MANY_ROWS_OR_BYTES
}
_UNAVAILABLE: Final = {
    60: "the table is missing: migrate the schema",  # UNKNOWN_TABLE
    81: "the database is missing: migrate the schema",  # UNKNOWN_DATABASE
    202: "too many queries at once",  # TOO_MANY_SIMULTANEOUS_QUERIES
    209: "a socket timed out",  # SOCKET_TIMEOUT
    210: "network error",  # NETWORK_ERROR
    236: "the query was aborted",  # ABORTED
    242: "the table is read-only",  # TABLE_IS_READ_ONLY
    243: "no space on its disk",  # NOT_ENOUGH_SPACE
    252: "too many parts: merges lag behind",  # TOO_MANY_PARTS
    394: "the query was cancelled",  # QUERY_WAS_CANCELLED
    516: "authentication failed",  # AUTHENTICATION_FAILED
}

Parameters = Mapping[str, Any]
Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Address:
    """Where a server is, and as whom."""

    host: str
    port: int
    user: str
    password: str
    database: str
    secure: bool

    @classmethod
    def parse(cls, url: str) -> Self:
        """`clickhouse://user:password@host:8123/database`, or `clickhouses://…` for TLS.

        User and database may be left out: `default` and `streamlens`. Raises ValueError.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("clickhouse", "clickhouses") or not parts.hostname:
            raise ValueError("not a URL like clickhouse://user:password@host:8123/database")
        if parse_qs(parts.query) or parts.fragment:
            raise ValueError("a clickhouse:// URL has no options")
        secure = parts.scheme == "clickhouses"
        database = unquote(parts.path.strip("/")) or "streamlens"
        if not database.isidentifier() or not database.isascii():
            raise ValueError(f"{database!r} is no name of a database")
        return cls(
            parts.hostname,
            parts.port or (8443 if secure else 8123),
            unquote(parts.username or "default"),
            unquote(parts.password or ""),
            database,
            secure,
        )

    def __str__(self) -> str:
        """Without the password."""
        return f"{self.host}:{self.port}/{self.database}"


class Connection:
    """Queries and inserts of one user. Connects at the first use, and again after a failure.

    Every method raises StoreUnavailable or TooMuch; other errors of the server are ours to mend
    and pass as `clickhouse_connect.driver.exceptions.DatabaseError`.
    """

    def __init__(self, address: Address, seconds: float, settings: Settings) -> None:
        """`seconds` bounds one query, on the server and (a little later) on the socket."""
        self.address = address
        self._seconds = seconds
        self._settings = {"max_execution_time": seconds, "wait_end_of_query": 1, **settings}
        self._client: Any = None
        self._pool: Any = get_pool_manager(maxsize=_CONNECTIONS, block=False)
        self._lock = threading.Lock()

    def table(
        self,
        query: str,
        parameters: Parameters | None = None,
        *,
        text: bool = True,
        settings: Settings | None = None,
    ) -> pa.Table:
        """The result of a SELECT; strings as text, or as they are, which need not be UTF-8."""
        merged = {**self._settings, **(settings or {})}
        return self._try(
            lambda client: client.query_arrow(
                query, dict(parameters or {}), merged, use_strings=text
            )
        )

    def insert(self, statement: str, rows: pa.Table, settings: Settings | None = None) -> None:
        """INSERT of an Arrow table; `statement` ends before FORMAT."""
        sink = pa.BufferOutputStream()
        options = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
        with pa.ipc.new_stream(sink, rows.schema, options=options) as writer:
            writer.write_table(rows)
        body = b"%s FORMAT ArrowStream\n%s" % (statement.encode(), sink.getvalue().to_pybytes())
        merged = {**self._settings, **(settings or {})}
        self._try(lambda client: client.raw_insert(insert_block=body, settings=merged))

    def command(self, statement: str, settings: Settings | None = None) -> None:
        """A statement without a result: DDL, SYSTEM."""
        merged = {**self._settings, **(settings or {})}
        self._try(lambda client: client.command(statement, settings=merged))

    def close(self) -> None:
        """Close the sockets; the next use opens new ones."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()
        self._pool.clear()

    def _try(self, work: Any) -> Any:
        try:
            return work(self._connected())
        except exceptions.Error as error:
            raise _meaning(error, self.address) from error
        except (HTTPError, OSError) as error:
            line = line_of(error)
            raise StoreUnavailable(f"ClickHouse at {self.address} fails: {line}") from error

    def _connected(self) -> Any:
        with self._lock:
            if self._client is None:
                where = self.address
                self._client = clickhouse_connect.get_client(
                    interface="https" if where.secure else "http",
                    host=where.host,
                    port=where.port,
                    username=where.user,
                    password=where.password,
                    database="__default__",  # named in each statement: it may not be there yet
                    compress=False,  # Arrow compresses its own buffers
                    connect_timeout=CONNECT_SECONDS,
                    send_receive_timeout=self._seconds + _GRACE_SECONDS,
                    query_retries=1,
                    autogenerate_session_id=False,
                    form_encode_query_params=True,  # a list of edges is longer than a URL may be
                    pool_mgr=self._pool,
                )
            return self._client


def _meaning(error: exceptions.Error, address: Address) -> Exception:
    """What a caller should do about it."""
    code = getattr(error, "code", None)
    if code == 241 and "(total)" in str(error):
        return StoreUnavailable(f"ClickHouse at {address} is short of memory")
    if code in _TOO_MUCH:
        return TooMuch(f"the store's limit on {_TOO_MUCH[code]} of one query")
    if code in _UNAVAILABLE:
        return StoreUnavailable(f"ClickHouse at {address}: {_UNAVAILABLE[code]}")
    if code is None and isinstance(error, exceptions.OperationalError):
        return StoreUnavailable(f"ClickHouse at {address} fails: {line_of(error)}")
    return error
