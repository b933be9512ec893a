"""The job: events in, absolute numbers per window out. `python -m pipelines.main --help`.

Parse, build, run:
    Kafka partitions | read, decode, drop duplicates, aggregate | window | write
"""

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import apache_beam as beam
import redis
from apache_beam.options.pipeline_options import (
    PipelineOptions,
    SetupOptions,
    StandardOptions,
)

from pipelines import breaker, sinks, sources
from pipelines.bigquery_sink import ToBigQuery
from pipelines.log_reader import BrokerError, LogSettings
from pipelines.options import StreamOptions
from pipelines.outbox import ToCold
from pipelines.raw import KafkaEvents
from stores.bigquery import BigQuerySettings
from stores.pane import MINUTE, PULSE
from telemetry import logs
from transforms import windows

STOPPED: Final = 3  # exit code
_PULSE_LATENESS = MINUTE  # older pulses are of no use to anyone


def build(root: Any, options: StreamOptions) -> None:
    """Add the whole flow to a pipeline."""
    streaming = options.input is None
    firing = windows.Firing(options.refresh_seconds, options.allowed_lateness, options.max_series)
    brief = windows.Firing(options.refresh_seconds, _PULSE_LATENESS, options.max_series)
    read = settings(options, options.start_ms(last_seen=_last_seen(options)))
    source = (
        sources.KafkaRows(read, options.readers)
        if streaming
        else sources.FileRows(options.input, read)
    )

    rows = root | "Source" >> source
    minutes = rows.minutes | "Minutes" >> windows.minutes(firing, streaming=streaming)  # pane
    final = options.out_of_orderness + options.idle_seconds + MINUTE  # though a reader lags a bit
    panes = (
        minutes,
        minutes | "Active" >> windows.Active(final),
        rows[sources.PULSE] | "Pulse" >> windows.pulses(brief, PULSE, streaming=streaming),
    )  # pane
    for name, pane in zip(("Minutes", "Active", "Pulse"), panes, strict=True):
        pane | f"Write{name}" >> beam.ParDo(sinks.WriteHot(options.redis_url, options.metrics))
    if streaming:
        ledger = rows[sources.LEDGER] | "Ledger" >> windows.minutes(firing, streaming=True)  # pane
        ledger | "WriteLedger" >> beam.ParDo(sinks.WriteHot(options.redis_url, options.metrics))
    if options.history_url:
        minutes | "History" >> _history(options, streaming=streaming)
    if options.raw_events and streaming:
        raw = replace(read, log=replace(read.log, group="streamlens-raw"))
        root | "RawEvents" >> KafkaEvents(raw, options.history_url, options.readers)

    dead = rows[sources.DEAD]  # dead letter
    if streaming:
        topic = sinks.ProduceDeadLetters(options.kafka_bootstrap, options.dead_letter_topic)
        dead | "DeadLetters" >> beam.ParDo(topic)
        rows[sources.PROGRESS] | "Heartbeat" >> beam.ParDo(sinks.Heartbeat(options.redis_url))
    else:
        dead | "DeadLetters" >> beam.ParDo(sinks.LogDeadLetters())


def _history(options: StreamOptions, *, streaming: bool) -> beam.PTransform:
    """Dataflow scales and retries Beam's own sink for BigQuery; other runners use our writer."""
    runner = options.view_as(StandardOptions).runner or ""
    if options.history_url.startswith("bigquery:") and runner.endswith("DataflowRunner"):
        return ToBigQuery(BigQuerySettings.parse(options.history_url).dataset)
    return ToCold(options.history_url, streaming=streaming, shown=options.metrics)


def settings(options: StreamOptions, start_ms: int) -> sources.ReadSettings:
    """What readers need to know."""
    return sources.ReadSettings(
        LogSettings(
            options.kafka_bootstrap,
            options.topic,
            options.out_of_orderness,
            options.idle_seconds,
            options.poll_messages,
            options.poll_bytes,
        ),
        start_ms,
        options.poll_seconds,
        options.allowed_lateness,
        options.max_series,
        options.currency,
        options.json_project,
        options.metrics,
        options.limit,
    )


def _last_seen(options: StreamOptions) -> int | None:
    """When a job was last alive, by the hot store. Raises redis.RedisError."""
    if options.input is not None or options.start != "auto":
        return None
    return sinks.connect(options.redis_url).last_seen()


def parse(argv: Sequence[str]) -> StreamOptions:
    """Options with the defaults this job needs. Raises ValueError for what cannot work."""
    arguments = list(argv)
    options = PipelineOptions(arguments)
    mine: StreamOptions = options.view_as(StreamOptions)
    mine.check()
    options.view_as(StandardOptions).streaming = mine.input is None
    options.view_as(SetupOptions).save_main_session = False
    flink = _flink_defaults(arguments) if mine.input is None else []
    if flink:
        return parse([*arguments, *flink])
    return mine


def _flink_defaults(arguments: Sequence[str]) -> list[str]:
    """What FlinkRunner needs for this job, where the user did not say otherwise."""
    if not any(argument.endswith("FlinkRunner") for argument in arguments):
        return []
    wanted = {
        # What a bundle holds is sent to the worker when it ends, so each of the three stages from
        # the log to the store waits this long: the default second is only latency.
        "--max_bundle_time_mills": "20",
        # Without it a bundle that ends during a checkpoint never flushes on Flink 1.19.
        "--finish_bundle_before_checkpointing": None,
        # Else `pip freeze` runs for a second, for a list of packages that nobody reads.
        "--experiments": "disable_logging_submission_environment",
    }
    given = {argument.split("=")[0] for argument in arguments}
    return [
        name if value is None else f"{name}={value}"
        for name, value in wanted.items()
        if name not in given
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the job; a streaming one runs until stopped.

    0 a bounded job is done, 1 the job failed, 2 it could not be started, 3 it stopped by itself
    because of too many dead letters (`pipelines.breaker`): it should not be started again as it is.
    """
    arguments = sys.argv[1:] if argv is None else argv
    if {"-h", "--help"} & set(arguments):
        StreamOptions.parser().print_help()
        return 0
    try:
        options = parse(arguments)
        logs.configure(options.log_format)
        pipeline = beam.Pipeline(options=options)
        build(pipeline, options)
    except (ValueError, BrokerError, redis.RedisError) as error:
        print(f"pipelines.main: {error}", file=sys.stderr)
        return 2
    try:
        pipeline.run().wait_until_finish()
    except RuntimeError as error:  # a runner's own; of the worker's error it has the text only
        why = breaker.told(str(error))
        if why is None:
            raise
        sinks.tell_stopped(options.redis_url, why)
        print(f"pipelines.main: {why}", file=sys.stderr)
        return STOPPED
    return 0


if __name__ == "__main__":
    sys.exit(main())
