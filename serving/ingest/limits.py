"""What a client and a key may send the collector: requests by address, events by write key."""

from events.address import Address
from serving.client_names import client_names
from serving.ingest.leases import Leases
from serving.ingest.settings import Settings
from serving.limit_headers import refusal
from serving.limits import Limit
from telemetry import metrics


class Limits:
    """Both raise RequestError `rate_limited`, with headers, when it is too much."""

    def __init__(self, settings: Settings, leases: Leases) -> None:
        self._leases = leases
        self._name = client_names(settings.redis_url)
        self._requests, self._events = settings.limits
        self.counts_events = bool(self._events.rate)

    async def request(self, address: Address | None) -> None:
        """One request of a client, whatever comes of it."""
        if self._requests.rate:
            await self._take(self._requests, self._name(address), 1)

    async def events(self, key_id: str, count: int) -> None:
        """The events of a request, before they are taken: a repeat counts as the first did."""
        if self._events.rate and count:
            await self._take(self._events, key_id, count)

    async def stop(self) -> None:
        """Let go."""
        await self._leases.stop()

    async def _take(self, limit: Limit, who: str, cost: int) -> None:
        wait = await self._leases.take(limit, who, cost)
        if wait:
            metrics.COLLECTOR_LIMITED.inc(limit.setting)
            raise refusal(limit, wait)
