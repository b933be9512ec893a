"""The job in Beam Python as one would first write it: an element per event, on our runner.

    python -m benchmarks.peers.scripts.beam_job BOOTSTRAP TOPIC FILE JAR

Reads the topic from its beginning to its present end, as a bounded collection, so that the runner
may combine before it shuffles. Distinct users are exact. Flink is embedded and Python is one
process, as in our own embedded job.
"""

import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms.window import FixedWindows, TimestampedValue
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

Cell = tuple[str, str, str, str]


def read(place: tuple[str, str, int]) -> Iterator[bytes]:
    """The messages that a partition has now."""
    bootstrap, topic, partition = place
    settings = {"bootstrap.servers": bootstrap, "group.id": "beam", "enable.auto.commit": False}
    consumer = Consumer(settings)
    _, end = consumer.get_watermark_offsets(TopicPartition(topic, partition))
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING)])
    position = 0
    while position < end:
        for message in consumer.consume(5_000, timeout=1.0):
            error, offset, value = message.error(), message.offset(), message.value()
            if error is not None or offset is None or value is None:
                raise RuntimeError(f"partition {partition}: {error or 'no event'}")
            position = offset + 1
            yield value
    consumer.close()


def parse(line: bytes) -> TimestampedValue:
    """An event at its own time."""
    event = json.loads(line)
    return TimestampedValue(event, event["ts"] / 1000)


def cell(event: dict[str, Any]) -> tuple[Cell, tuple[int, float]]:
    """What is counted, by what."""
    key = (event["type"], event["country"], event["device"], event["category"])
    return key, (1, event.get("amount", 0.0))


class Added(beam.CombineFn):
    """Events and revenue, added up."""

    def create_accumulator(self) -> list[Any]:
        """Nothing yet."""
        return [0, 0.0]

    def add_input(self, held: list[Any], one: tuple[int, float]) -> list[Any]:
        """One event more."""
        held[0] += one[0]
        held[1] += one[1]
        return held

    def merge_accumulators(self, several: Any) -> list[Any]:
        """All together."""
        merged = self.create_accumulator()
        for one in several:
            self.add_input(merged, one)
        return merged

    def extract_output(self, held: list[Any]) -> tuple[int, float]:
        """As they are."""
        return held[0], held[1]


def cell_line(item: tuple[Cell, tuple[int, float]], window: Any = beam.DoFn.WindowParam) -> str:
    """A line of the result file."""
    (key, (count, revenue)) = item
    return "\t".join(map(str, (int(window.start), *key, count, revenue)))


def users_line(count: int, window: Any = beam.DoFn.WindowParam) -> str:
    """A line of the result file."""
    return f"{int(window.start)}\t\t\t\t\t{count}\t"


def main(bootstrap: str, topic: str, out: str, jar: str, *rest: str) -> None:
    """Run to the end, then wait to be ended."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "beam"})
    partitions = sorted(consumer.list_topics(topic).topics[topic].partitions)
    consumer.close()
    options = PipelineOptions(
        [
            "--runner=FlinkRunner",
            "--flink_master=[local]",
            f"--flink_job_server_jar={jar}",
            "--parallelism=2",
            "--environment_type=LOOPBACK",
            *rest,
        ]
    )
    with beam.Pipeline(options=options) as pipeline:
        events = (
            pipeline
            | "Partitions" >> beam.Create([(bootstrap, topic, p) for p in partitions])
            | "Spread" >> beam.Reshuffle()
            | "Read" >> beam.FlatMap(read)
            | "Parse" >> beam.Map(parse)
            | "Minutes" >> beam.WindowInto(FixedWindows(60))
        )
        counts = (
            events
            | "Cell" >> beam.Map(cell)
            | "Count" >> beam.CombinePerKey(Added())
            | "CellLine" >> beam.Map(cell_line)
        )
        users = (
            events
            | "User" >> beam.Map(lambda event: event["user_id"])
            | "Distinct" >> beam.Distinct()
            | "Users" >> beam.combiners.Count.Globally().without_defaults()
            | "UsersLine" >> beam.Map(users_line)
        )
        lines = (counts, users) | "Both" >> beam.Flatten()
        lines | "Write" >> beam.io.WriteToText(f"{out}.part", shard_name_template="", num_shards=1)
    Path(f"{out}.part").rename(out)
    signal.pause()


if __name__ == "__main__":
    # By its name: functions of __main__ would be pickled with all that they refer to.
    from benchmarks.peers.scripts import beam_job

    beam_job.main(*sys.argv[1:])
