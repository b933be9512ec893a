"""The stores as the judge reads them: hot, cold, and the raw events."""

from collections.abc import Sequence

import redis

from stores.clickhouse import ClickHouseStore
from stores.clickhouse_client import Address, Connection
from stores.clickhouse_events import ClickHouseEvents
from stores.hot import HotStore


class Stores:
    """Our own connections, of the user that may only read."""

    def __init__(self, redis_url: str, history_url: str) -> None:
        self._client = redis.Redis.from_url(redis_url, socket_timeout=5)
        self.hot = HotStore(self._client)
        self.cold = ClickHouseStore.from_url(history_url)
        self.events = ClickHouseEvents.from_url(history_url)
        self._raw = Connection(Address.parse(history_url), 30, {})
        self._table = f"{self._raw.address.database}.events"

    def stored(self, project: str) -> dict[bytes, int]:
        """Event id → how often it is among the raw events."""
        found = self._raw.table(
            f"SELECT event_id, count() AS copies FROM {self._table} FINAL"
            " WHERE project = {project:String} GROUP BY event_id",
            {"project": project},
            text=False,
        )
        columns = (found.column(name).to_pylist() for name in ("event_id", "copies"))
        return dict(zip(*columns, strict=True))

    def rows(self, project: str, minutes: Sequence[int]) -> list[str]:
        """The raw events of some minutes, a line each, for a person to look at."""
        found = self._raw.table(
            "SELECT toUInt32(toStartOfMinute(event_time)) AS minute, event_uuid, type, country,"
            " device, category, partition, offset, row, toString(received_at) AS received"
            f" FROM {self._table} FINAL WHERE project = {{project:String}}"
            " AND has({minutes:Array(UInt32)}, toUInt32(toStartOfMinute(event_time)))"
            " ORDER BY minute, received_at LIMIT 20000",
            {"project": project, "minutes": list(minutes)},
        )
        return [" ".join(map(str, row.values())) for row in found.to_pylist()]

    def close(self) -> None:
        """Let go of them."""
        for store in (self.cold, self.events, self._raw, self._client):
            store.close()
