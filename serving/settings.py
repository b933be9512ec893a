"""Every setting of the query and push service, each an option of the command line."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final, Self

from events.address import LOOPBACK, TrustedProxies
from serving.arguments import separated
from serving.limits import Limit
from telemetry import endpoint, logs

GUESS: Final = 10  # requests that one with an unknown key counts for
# Settings that bound what a client may do -> the error of what is over it.
LIMITS: Final = {
    "requests_per_ip": "rate_limited",
    "burst_per_ip": "rate_limited",
    "requests_per_key": "rate_limited",
    "burst_per_key": "rate_limited",
    "max_sockets_per_ip": "too_many_connections",
    "max_sockets_per_key": "too_many_connections",
}
HELP: Final = {
    "host": "address to listen on",
    "port": "port to listen on",
    "redis_url": "the hot store: Redis 7 or Valkey",
    "history_url": "the cold store, such as clickhouse://user:password@host:8123/database; "
    "without it only the last day can be asked for",
    "collector_url": "where clients send events; shown on the dashboard",
    "projects": "JSON file of projects and hashed keys (see serving/projects.py); else only demo",
    "secret": "file of 32 random bytes or more that sign tickets and share links, the same for all "
    "processes; else made at each start, and share links end with it",
    "refresh_seconds": "longest time between two live messages",
    "allowed_origins": "origins of other sites whose pages may read, with commas; https://*.x.com "
    "is all below it",
    "workers": "processes",
    **endpoint.HELP,
    "log_format": logs.HELP,
    "trusted_proxies": "networks whose X-Forwarded-For is believed, with commas",
    "requests_per_ip": "requests a second of one client, IPv6 by /64; 0: any number",
    "burst_per_ip": f"of these at once, at least {GUESS}: an unknown key counts for so many",
    "requests_per_key": "requests a second with one key, of all clients; 0: any number",
    "burst_per_key": "of these at once",
    "max_sockets_per_ip": "live connections of one client in one process; 0: any number",
    "max_sockets_per_key": "live connections with one key in one process; 0: any number",
}


@dataclass(frozen=True)
class Settings:
    """The query and push service, and the dashboard."""

    host: str = "127.0.0.1"
    port: int = 8080
    redis_url: str = "redis://127.0.0.1:6380/0"
    history_url: str = ""
    collector_url: str = "http://127.0.0.1:8081"
    projects: Path | None = None
    secret: Path | None = None
    refresh_seconds: float = 2.0
    allowed_origins: str = ""
    workers: int = 1
    metrics_host: str = "127.0.0.1"
    metrics_port: int = endpoint.SERVICE_PORT
    log_format: str = "text"
    trusted_proxies: str = ",".join(LOOPBACK)
    requests_per_ip: int = 200
    burst_per_ip: int = 2_000
    requests_per_key: int = 1_000
    burst_per_key: int = 5_000
    max_sockets_per_ip: int = 200
    max_sockets_per_key: int = 5_000

    def __post_init__(self) -> None:
        """Raises ValueError on a limit that makes no sense."""
        TrustedProxies(self.proxy_networks)
        by_ip, by_key = self.limits
        by_ip.check(GUESS)
        by_key.check(1)
        for name in ("max_sockets_per_ip", "max_sockets_per_key"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is too small: {getattr(self, name)}")

    @property
    def proxy_networks(self) -> list[str]:
        """`trusted_proxies` as a list."""
        return separated(self.trusted_proxies)

    @property
    def limits(self) -> tuple[Limit, Limit]:
        """Of requests: of a client, and of a key."""
        return (
            Limit("service", "requests_per_ip", self.requests_per_ip, self.burst_per_ip),
            Limit("service", "requests_per_key", self.requests_per_key, self.burst_per_key),
        )

    @classmethod
    def parse(cls, arguments: Sequence[str]) -> Self:
        """From a command line."""
        parser = argparse.ArgumentParser(prog="serving.app", description=cls.__doc__)
        for item in fields(cls):
            kind = Path if item.name in ("projects", "secret") else type(item.default)
            text = f"{HELP[item.name]}; default {item.default}"
            choices = logs.FORMATS if item.name == "log_format" else None
            parser.add_argument(
                f"--{item.name}", type=kind, default=item.default, choices=choices, help=text
            )
        try:
            return cls(**vars(parser.parse_args(arguments)))
        except ValueError as error:
            parser.error(str(error))
