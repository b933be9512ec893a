"""History in BigQuery: a `ColdStore`. Tables in `stores.bigquery_schema`, SQL in `bigquery_sql`.

Not run on GCP. Tests put the real client libraries before an emulator and Google's own analyzer
behind the SQL; what that leaves unproven stands in `tests/integration/bigquery_emulator.py`.
"""

import re
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self
from urllib.parse import parse_qs, urlsplit

import numpy as np
from google.api_core import exceptions
from google.auth.exceptions import GoogleAuthError
from google.cloud import bigquery
from google.cloud.bigquery.retry import DEFAULT_RETRY
from google.cloud.bigquery_storage_v1 import BigQueryWriteClient
from requests.exceptions import RequestException

from stores import bigquery_sql as sql
from stores.bigquery_append import Appender
from stores.bigquery_rows import rows_of
from stores.bigquery_tables import ROLLUP
from stores.contract import (
    Bits,
    Counts,
    Slice,
    StoreUnavailable,
    TooMuch,
    Users,
    Values,
    line_of,
)
from stores.pane import MEASURES, Pane

_DATASET: Final = re.compile(r"[a-z][a-z0-9-]{4,28}[a-z0-9]\.[A-Za-z0-9_]{1,1024}")
# Reasons of BigQuery's errors that say that the question is too large, not that BigQuery is away.
_TOO_MUCH: Final = {
    "billingTierLimitExceeded",
    "bytesBilledLimitExceeded",
    "resourcesExceeded",
    "responseTooLarge",
}


_WriteClient: Any = BigQueryWriteClient  # it has no types


@dataclass(frozen=True)
class BigQuerySettings:
    """Where history is and what one question may cost. Raises ValueError for a bad dataset."""

    dataset: str  # project.dataset
    location: str | None = None  # of the dataset, as EU; found out by BigQuery when None
    max_bytes_billed: int = 20 << 30  # per question
    seconds: float = 30.0  # per question, and per attempt of a write
    max_rows: int = 200_000  # of an answer: series times steps that have any row
    max_sketches: int = 2_000  # of an answer; each is up to 16,384 numbers

    def __post_init__(self) -> None:
        if not _DATASET.fullmatch(self.dataset):
            raise ValueError(f"{self.dataset!r} is not like my-project.streamlens")

    @classmethod
    def parse(cls, url: str) -> Self:
        """`bigquery://project/dataset?location=EU&max_bytes_billed=…&seconds=…`; ValueError."""
        parts = urlsplit(url)
        if parts.scheme != "bigquery" or not parts.hostname:
            raise ValueError("not a URL like bigquery://project/dataset")
        asked = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        kinds: dict[str, Any] = {"location": str, "max_bytes_billed": int, "seconds": float}
        odd = sorted(set(asked) - set(kinds))
        if odd:
            raise ValueError(f"bigquery:// has no option {odd[0]}")
        chosen = {name: kinds[name](value) for name, value in asked.items()}
        return cls(f"{parts.hostname}.{parts.path.strip('/')}", **chosen)


class BigQueryStore:
    """Reads and writes the history of all projects. Connects at the first use."""

    name = "bigquery"

    def __init__(self, settings: BigQuerySettings, client: Any = None, writer: Any = None) -> None:
        """`client` is a `bigquery.Client`, `writer` a `BigQueryWriteClient`; else the default."""
        self.settings = settings
        self._client = client
        self._writer = writer
        self._appender: Appender | None = None
        self._lock = threading.Lock()

    @classmethod
    def from_url(cls, url: str) -> Self:
        """See `BigQuerySettings.parse`. Raises ValueError; connects to nothing."""
        return cls(BigQuerySettings.parse(url))

    def counts(self, ask: Slice) -> Counts:
        """See `Reader`."""
        if ask.end <= ask.start:
            return Counts.empty(ask.steps)
        limit = self.settings.max_rows
        rows = self._ask(sql.counts(self.settings.dataset, ask, limit + 1))
        _bounded(rows, limit, "values (series times steps)")
        by = [name for name in ask.grouping if name in ask.by]
        places: dict[Values, int] = {}
        where = [places.setdefault(tuple(row[name] for name in by), len(places)) for row in rows]
        measures = np.zeros((len(places), ask.steps, len(MEASURES)), np.int64)
        for place, row in zip(where, rows, strict=True):
            measures[place, row["step"]] = [row[name] for name in MEASURES]
        return Counts(list(places), measures)

    def users(self, ask: Slice) -> Users:
        """See `Reader`."""
        if not ask.has_users:
            raise ValueError("no unions are kept for this")
        if ask.end <= ask.start:
            return {}
        limit = self.settings.max_sketches
        rows = self._ask(sql.users(self.settings.dataset, ask, limit + 1))
        _bounded(rows, limit, "sketches (series times steps)")
        return {
            ((row["value"],) if ask.by else (), row["step"]): np.array(row["entries"], np.uint32)
            for row in rows
        }

    def completeness(self, project: str, edges: Sequence[int]) -> Bits:
        """See `Reader`."""
        found: Bits = np.zeros(len(edges) - 1, np.uint8)
        if edges[-1] > edges[0]:
            for row in self._ask(sql.completeness(self.settings.dataset, project, edges)):
                found[row["step"]] = row["bits"]
        return found

    def write(self, panes: Sequence[Pane]) -> int:
        """See `ColdStore`. Users before numbers: who sees a minute sees its users."""
        tables = rows_of(panes, time.time())
        rollups = tables.pop(ROLLUP)
        for table, rows in (*tables.items(), (ROLLUP, rollups)):
            if rows:
                self._append().append(table, rows)
        return len(rollups)

    def run(self, statement: str, values: Mapping[str, Any] | None = None) -> list[Any]:
        """Rows of a statement of ours (DDL, MERGE). Raises StoreUnavailable."""
        return self._run(statement, values or {}, None)

    def close(self) -> None:
        """See `ColdStore`."""
        with self._lock:
            appender, self._appender = self._appender, None
            client, self._client = self._client, None
        if appender is not None:
            appender.close()
        if client is not None:
            client.close()

    def _ask(self, query: sql.Query) -> list[Any]:
        return self._run(query.text, query.values, self.settings.max_bytes_billed)

    def _run(self, text: str, values: Mapping[str, Any], max_bytes: int | None) -> list[Any]:
        config = bigquery.QueryJobConfig(
            query_parameters=[parameter(name, value) for name, value in values.items()],
            job_timeout_ms=int(self.settings.seconds * 1000),
            labels={"app": "streamlens"},
        )
        if max_bytes is not None:
            config.maximum_bytes_billed = max_bytes
        patience = DEFAULT_RETRY.with_timeout(self.settings.seconds)
        try:
            rows = self._connected().query_and_wait(
                text,
                job_config=config,
                location=self.settings.location,
                api_timeout=self.settings.seconds,
                wait_timeout=self.settings.seconds,
                retry=patience,
                job_retry=None,
            )
            return list(rows)
        except exceptions.GoogleAPICallError as error:
            raise meaning(error) from error
        except (FutureTimeout, exceptions.RetryError) as error:
            line = f"BigQuery does not answer in {self.settings.seconds:g} s"
            raise StoreUnavailable(line) from error
        except (GoogleAuthError, RequestException, OSError) as error:
            raise StoreUnavailable(f"BigQuery cannot be reached: {line_of(error)}") from error

    def _connected(self) -> Any:
        with self._lock:
            if self._client is None:
                project = self.settings.dataset.split(".")[0]
                self._client = bigquery.Client(project=project, location=self.settings.location)
            return self._client

    def _append(self) -> Appender:
        with self._lock:
            if self._appender is None:
                try:
                    writer = self._writer or _WriteClient()
                except GoogleAuthError as error:
                    raise StoreUnavailable(f"BigQuery: {line_of(error)}") from error
                dataset, seconds = self.settings.dataset, self.settings.seconds
                self._appender = Appender(writer, dataset, seconds)
            return self._appender


def parameter(name: str, value: Any) -> Any:
    """A query parameter of a str, int, time, or a list of str or of int (never empty: no type)."""
    kinds = {str: "STRING", int: "INT64", datetime: "TIMESTAMP"}
    if isinstance(value, list):
        return bigquery.ArrayQueryParameter(name, kinds[type(value[0])], value)
    return bigquery.ScalarQueryParameter(name, kinds[type(value)], value)


def meaning(error: exceptions.GoogleAPICallError) -> Exception:
    """What a caller should do about BigQuery's answer.

    The limit on bytes billed comes as an HTTP 500 or 400, by the way of asking: its reason tells.
    """
    reasons = {str(each.get("reason")) for each in error.errors if isinstance(each, dict)}
    found = sorted(reasons & _TOO_MUCH)
    if found or "limit for bytes billed" in str(error):
        return TooMuch(f"the store's limit on the cost of one question ({', '.join(found)})")
    return StoreUnavailable(f"BigQuery refuses: {line_of(error)}")


def _bounded(rows: Sequence[Any], limit: int, what: str) -> None:
    if len(rows) > limit:
        raise TooMuch(f"over {limit:,} {what}")
