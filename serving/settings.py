"""Every setting of the query and push service, each an option of the command line."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final, Self

from telemetry import endpoint, logs

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
        return cls(**vars(parser.parse_args(arguments)))
