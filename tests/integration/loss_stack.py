"""Kafka, Valkey and a collector for `npm run loss`, which starts this and speaks to it by lines.

It says `{"collector": URL}` when all is up. To `count` it answers what the pipeline counts of the
topic, with the pipeline's own filter of duplicates. It ends with its input.
"""

import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa
from confluent_kafka import Consumer, TopicPartition

from deploy import children
from deploy.children import PythonChild
from deploy.ports import free_port
from deploy.services import TOPICS, KafkaServer, ValkeyServer, ensure_topics
from deploy.settings import Settings
from events import batch
from transforms.duplicates import Duplicates

TOPIC = "events"


def messages(kafka: str, partition: int) -> Iterator[tuple[int, bytes]]:
    """Broker time and value of all messages of a partition that are there now, in their order."""
    consumer = Consumer(
        {"bootstrap.servers": kafka, "group.id": "loss", "enable.auto.commit": False}
    )
    try:
        place = TopicPartition(TOPIC, partition, 0)
        _, end = consumer.get_watermark_offsets(place, timeout=30)
        consumer.assign([place])
        at = 0
        while at < end:
            found: list[Any] = consumer.consume(500, timeout=0.2)
            for message in found:
                error = message.error()
                if error is not None:
                    raise RuntimeError(error.str())
                at = message.offset() + 1
                yield message.timestamp()[1], message.value()
    finally:
        consumer.close()


def counted(kafka: str) -> dict[str, Any]:
    """How often each event is counted: by the `n` of its props, and by its id where not once."""
    names: Counter[str] = Counter()
    ids: Counter[bytes] = Counter()
    rows = 0
    for partition in range(TOPICS[TOPIC]):
        known = Duplicates()
        for broker_ms, value in messages(kafka, partition):
            _, found = batch.decode(value, hot_only=False)
            rows += found.num_rows
            fresh = known.fresh(found.column("dedup_key").to_numpy(), broker_ms)
            if fresh is not None:
                found = found.filter(pa.array(fresh))
            ids.update(found.column("event_id").to_pylist())
            props = (json.loads(text) for text in found.column("props").to_pylist() if text)
            names.update(each["n"] for each in props if "n" in each)
    repeated = sum(times > 1 for times in ids.values())
    return {"counted": names, "rows": rows, "repeated": repeated}


def main() -> int:
    """Serve until the input ends."""
    with tempfile.TemporaryDirectory(prefix="streamlens-loss-") as name, ExitStack() as started:
        folder = Path(name)
        settings = Settings(
            kafka_port=free_port(),
            valkey_port=free_port(),
            collector_port=free_port(),
            collector_metrics_port=0,
            run_dir=folder,
        )
        kafka = started.enter_context(KafkaServer(folder / "kafka", settings.kafka_port))
        ensure_topics(kafka.address)
        started.enter_context(
            ValkeyServer(settings.valkey_port, folder / "valkey", persistence=False)
        )
        started.enter_context(
            PythonChild(
                "collector",
                children.commands(settings, folder, None)["collector"],
                children.answers_ready(settings.collector_port),
                log_path=folder / "collector.log",
                environment={},
                ready_within=60,
            )
        )
        print(json.dumps({"collector": settings.collector_url}), flush=True)
        for line in sys.stdin:
            if line.strip() == "count":
                print(json.dumps(counted(kafka.address)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
