"""The reader of the log on a real broker that goes away and comes back."""

import time
from pathlib import Path

import pytest
from confluent_kafka import Producer

from deploy.services import KafkaServer, ensure_topics, free_port
from pipelines.log_reader import LogReader, LogSettings
from tests.integration.jobs import kill_hard
from tests.integration.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(180)]

LAG = 1.0  # seconds that the watermark of a partition without messages is behind


def test_the_watermark_waits_for_a_broker_and_needs_no_message_to_go_on(tmp_path: Path) -> None:
    with KafkaServer(tmp_path / "kafka", free_port()) as kafka:
        ensure_topics(kafka.address, {"quiet": 2})
        # The log of one partition ends with the mark of a transaction, which is no message.
        producer = Producer({"bootstrap.servers": kafka.address, "transactional.id": "one"})
        producer.init_transactions(20)
        producer.begin_transaction()
        producer.produce("quiet", b"something", partition=0)
        producer.commit_transaction(20)
        settings = LogSettings(kafka.address, "quiet", out_of_orderness=1, idle_seconds=1)
        reader = LogReader(settings, (0, 1))
        reader.seek({0: 0, 1: 0}, None)

        def follows() -> bool:
            reader.poll(0.2)
            mark = reader.watermark()
            return mark is not None and time.time() - mark / 1000 < LAG + 2.5

        wait_for("watermark", follows, 20)
        kill_hard(kafka)
        wait_for("loss", lambda: not follows() and reader.lost_since is not None, 20)
        stands = reader.watermark()
        for _ in range(10):
            follows()
        assert reader.watermark() == stands
        kafka.start()
        wait_for("watermark again", follows, 60)
        assert reader.lost_since is None
        reader.close()
