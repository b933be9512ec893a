"""The job's options, documented in `--help`, as one typed class."""

import argparse
import re
import time
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from apache_beam.options.pipeline_options import PipelineOptions

from pipelines import breaker
from stores.cold import SCHEMES, keeps_events
from telemetry import endpoint, logs
from transforms.cube import MAX_SERIES


class StreamOptions(PipelineOptions):
    """Options of the streaming and the backfill job."""

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        source = parser.add_argument_group("source")
        source.add_argument(
            "--input",
            help="Bounded source: NDJSON files by glob, .gz too. Without it the job reads Kafka.",
        )
        source.add_argument(
            "--kafka_bootstrap", default="127.0.0.1:9092", help="Kafka brokers, host:port,…"
        )
        source.add_argument("--topic", default="events", help="Topic of events.")
        source.add_argument(
            "--dead_letter_topic",
            default="events-dead",
            help="Topic for what cannot be decoded: why, where, and its shape (events/letters.py).",
        )
        source.add_argument(
            "--dead_letter_limit",
            type=_share,
            default=0.5,
            help="Stop the job when more than this share of the messages that a worker read in the "
            f"last {breaker.SPAN} s, and at least {breaker.LEAST} of them, cannot be used: a "
            "producer or the code is wrong, and so are the numbers. 1 or off: never.",
        )
        source.add_argument(
            "--start",
            default="auto",
            help="Where a job without restored state starts: auto (all that can still change an "
            "open window), earliest, or an ISO time with zone. Committed offsets are never used.",
        )
        source.add_argument(
            "--readers",
            type=_positive,
            default=2,
            help="How many readers share the topic's partitions. At most one per partition.",
        )
        source.add_argument(
            "--poll_seconds",
            type=float,
            default=0.25,
            help="How long a reader gathers messages into one bundle.",
        )
        source.add_argument(
            "--poll_messages",
            type=_positive,
            default=20_000,
            help="How many messages end a poll early.",
        )
        source.add_argument(
            "--poll_bytes",
            type=_positive,
            default=33_554_432,
            help="About how many bytes of messages end a poll early. Bounds memory.",
        )
        source.add_argument(
            "--json_project",
            help="Project of JSON input that names none, neither in a header nor in the record.",
        )
        source.add_argument(
            "--currency", default="USD", help="Currency of amounts in JSON input (ISO 4217)."
        )
        windows = parser.add_argument_group("windows")
        windows.add_argument(
            "--refresh_seconds",
            type=float,
            default=1.0,
            help="An open window is written this often while events arrive.",
        )
        windows.add_argument(
            "--allowed_lateness",
            type=_positive,
            default=3600,
            help="Seconds after a window's end in which late events still change it.",
        )
        windows.add_argument(
            "--out_of_orderness",
            type=_positive,
            default=10,
            help="Seconds that the watermark stays behind the newest event.",
        )
        windows.add_argument(
            "--idle_seconds",
            type=_positive,
            default=5,
            help="A partition without messages for this long follows the wall clock.",
        )
        windows.add_argument(
            "--max_series",
            type=_series,
            default=1000,
            help=f"Series kept per grouping set and window, at most {MAX_SERIES}. The rest is "
            "counted in the total, and shown as `other`.",
        )
        sinks = parser.add_argument_group("sinks")
        sinks.add_argument(
            "--redis_url",
            default="redis://127.0.0.1:6379/0",
            help="The hot store: Redis 7 or Valkey.",
        )
        sinks.add_argument(
            "--history_url",
            default="",
            help="The cold store: clickhouse://user:password@host:8123/database, or "
            "bigquery://project/dataset. Without it there is no history beyond a day.",
        )
        sinks.add_argument(
            "--raw_events",
            action="store_true",
            help="Also keep every event, all columns, in the cold store (ClickHouse only).",
        )

        watching = parser.add_argument_group("watching")
        watching.add_argument(
            "--metrics_host", default="127.0.0.1", help=f"{endpoint.HELP['metrics_host']}."
        )
        watching.add_argument(
            "--metrics_port",
            type=int,
            default=endpoint.JOB_PORT,
            help=f"{endpoint.HELP['metrics_port']}. Python workers serve it, where they run.",
        )
        watching.add_argument(
            "--log_format",
            choices=logs.FORMATS,
            default="text",
            help=f"{logs.HELP}. Of this program; workers elsewhere log to Flink.",
        )

    @classmethod
    def parser(cls) -> argparse.ArgumentParser:
        """These options alone, for `--help`: Beam's own parser shows nothing of them."""
        parser = argparse.ArgumentParser(
            prog="python -m pipelines.main",
            description="Counts events: Kafka or NDJSON files in, absolute numbers per window out.",
            epilog="Beam's and the runner's own options are taken too: --runner=FlinkRunner, "
            "--flink_master, --flink_job_server_jar, --parallelism, --checkpointing_interval, "
            "--state_backend, --state_backend_storage_path, --savepoint_path, …",
        )
        cls._add_argparse_args(parser)
        return parser

    @property
    def limit(self) -> breaker.Limit:
        """When there are too many dead letters."""
        return breaker.Limit(self.dead_letter_limit, self.dead_letter_topic)

    @property
    def metrics(self) -> endpoint.Endpoint:
        """Where workers show their metrics."""
        return endpoint.Endpoint("job", self.metrics_host, self.metrics_port)

    def start_ms(self, now: float | None = None, last_seen: int | None = None) -> int:
        """Broker time in ms to start from without restored state; 0 is the earliest message.

        auto: a window still open at `now` ends after `now - lateness`; its first event may carry a
        clock one minute ahead of the broker's. When the last job was `last_seen` (unix seconds)
        before that, the windows that were open then, so that an outage leaves no hole.
        """
        if self.start == "earliest":
            return 0
        if self.start == "auto":
            ahead = 2 * 60 + 60  # the window, the clock, and a margin
            moment = now or time.time()
            if last_seen is not None:
                moment = min(moment, last_seen)
            return int((moment - self.allowed_lateness - ahead) * 1000)
        return int(datetime.fromisoformat(self.start).timestamp() * 1000)

    def check(self) -> None:
        """Raise ValueError, one line, for options that cannot work."""
        if self.start not in ("auto", "earliest"):
            try:
                moment = datetime.fromisoformat(self.start)
            except ValueError:
                raise ValueError(f"--start: {self.start!r} is no ISO time") from None
            if moment.tzinfo is None:
                raise ValueError(f"--start: {self.start!r} names no time zone")
        if not re.fullmatch(r"[A-Z]{3}", self.currency):
            raise ValueError(f"--currency: {self.currency!r} is no ISO 4217 code")
        scheme = urlsplit(self.history_url).scheme
        if self.history_url and scheme not in SCHEMES:
            raise ValueError(
                f"--history_url: {scheme or 'no scheme'} is none of {', '.join(SCHEMES)}"
            )
        if self.raw_events and not keeps_events(self.history_url):
            raise ValueError("--raw_events needs a --history_url of ClickHouse")
        for name in ("refresh_seconds", "poll_seconds"):
            value: Any = getattr(self, name)
            if not 0.05 <= value <= 60:
                raise ValueError(f"--{name}: {value} is not between 0.05 and 60")


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def _share(text: str) -> float:
    value = 1.0 if text == "off" else float(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError("must be above 0 and at most 1, or off")
    return value


def _series(text: str) -> int:
    value = _positive(text)
    if value > MAX_SERIES:
        raise argparse.ArgumentTypeError(f"must be at most {MAX_SERIES}")
    return value
