"""Every setting of the collector: one command line option each."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final, Self

from events.address import LOOPBACK, TrustedProxies
from events.limits import MAX_EVENTS_PER_REQUEST
from serving.arguments import separated
from serving.limits import Limit
from telemetry import endpoint, logs

# Settings that bound what a client may do -> the error of what is over it.
LIMITS: Final = {
    "requests_per_ip": "rate_limited",
    "burst_per_ip": "rate_limited",
    "events_per_key": "rate_limited",
    "burst_events_per_key": "rate_limited",
}
HELP: Final = {
    "host": "address to listen on",
    "port": "port to listen on; 0 takes a free one",
    "kafka_bootstrap": "Kafka's bootstrap addresses",
    "topic": "topic that event batches go to",
    "redis_url": "where finished batch ids are remembered",
    "geo_database": "country database (.mmdb); without it all is ZZ",
    "projects": "JSON file of projects and hashed keys (see serving/projects.py); else only demo",
    "trusted_proxies": "networks whose X-Forwarded-For is believed, with commas",
    "linger_ms": "longest wait of an event for others to share its message",
    "batch_events": "events of one project and partition that fill a message",
    "max_buffered_events": "events held, in buffers and in flight, before 503 buffer_full",
    "max_buffered_bytes": "the same in bytes of JSON; bodies being received count too",
    "body_timeout_ms": "longest wait for a request's body before 408",
    "delivery_timeout_ms": "longest wait for the broker before 503",
    "drain_timeout_ms": "longest wait for open requests at shutdown",
    "retry_after_s": "what Retry-After says with every 503",
    "redis_timeout_ms": "longest wait for Redis; a slower one is done without",
    **endpoint.HELP,
    "log_format": logs.HELP,
    "requests_per_ip": "requests a second of one client, IPv6 by /64; 0: any number",
    "burst_per_ip": "of these at once",
    "events_per_key": "events a second with one write key, of all clients; 0: any number",
    "burst_events_per_key": "of these at once, "
    f"at least the {MAX_EVENTS_PER_REQUEST:,} that one request may carry",
}

_MAY_BE_0: Final = ("port", "linger_ms", "metrics_port", "requests_per_ip", "events_per_key")


@dataclass(frozen=True)
class Settings:
    """The collector: POST /v1/events to Kafka, answered when the broker has the events."""

    host: str = "127.0.0.1"
    port: int = 8081
    kafka_bootstrap: str = "127.0.0.1:9092"
    topic: str = "events"
    redis_url: str = "redis://127.0.0.1:6380/0"
    geo_database: Path | None = None
    projects: Path | None = None
    trusted_proxies: str = ",".join(LOOPBACK)
    linger_ms: int = 50
    batch_events: int = 2_000
    max_buffered_events: int = 200_000
    max_buffered_bytes: int = 67_108_864
    body_timeout_ms: int = 10_000
    delivery_timeout_ms: int = 10_000
    drain_timeout_ms: int = 20_000
    retry_after_s: int = 2
    redis_timeout_ms: int = 250
    metrics_host: str = "127.0.0.1"
    metrics_port: int = endpoint.COLLECTOR_PORT
    log_format: str = "text"
    requests_per_ip: int = 1_000
    burst_per_ip: int = 5_000
    events_per_key: int = 0
    burst_events_per_key: int = 1_000_000

    def __post_init__(self) -> None:
        """Raises ValueError on a setting that makes no sense."""
        TrustedProxies(self.proxy_networks)
        logs.check(self.log_format)
        for option in fields(self):
            value = getattr(self, option.name)
            least = 0 if option.name in _MAY_BE_0 else 1
            if isinstance(value, int) and value < least:
                raise ValueError(f"{option.name} is too small: {value}")
        requests, events = self.limits
        requests.check(1)
        events.check(MAX_EVENTS_PER_REQUEST)

    @property
    def proxy_networks(self) -> list[str]:
        """`trusted_proxies` as a list."""
        return separated(self.trusted_proxies)

    @property
    def limits(self) -> tuple[Limit, Limit]:
        """Of a client's requests, and of a key's events."""
        return (
            Limit("collector", "requests_per_ip", self.requests_per_ip, self.burst_per_ip),
            Limit(
                "collector",
                "events_per_key",
                self.events_per_key,
                self.burst_events_per_key,
                "events",
            ),
        )

    @classmethod
    def parse(cls, arguments: Sequence[str]) -> Self:
        """From the command line; exits with a usage message when that is wrong."""
        parser = argparse.ArgumentParser(
            prog="python -m serving.collector",
            description=cls.__doc__,
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        )
        for option in fields(cls):
            kind = int if isinstance(option.default, int) else str
            parser.add_argument(
                f"--{option.name}",
                type=Path if option.default is None else kind,
                default=option.default,
                help=HELP[option.name],
            )
        try:
            return cls(**vars(parser.parse_args(arguments)))
        except ValueError as error:
            parser.error(str(error))
