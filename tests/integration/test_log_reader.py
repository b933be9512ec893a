"""The reader of the log on a real broker that goes away and comes back."""

import time
import uuid
from pathlib import Path

import pytest
from confluent_kafka import Producer

from deploy.services import KafkaServer, ensure_topics, free_port
from pipelines.log_reader import LogReader, LogSettings
from pipelines.sources import ReadSettings
from tests.integration.jobs import kill_hard
from tests.integration.waiting import wait_for
from transforms.decode import Message
from transforms.portions import portions

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


def test_polls_end_at_their_bytes_and_history_is_read_as_the_job_reads(tmp_path: Path) -> None:
    with KafkaServer(tmp_path / "kafka", free_port()) as kafka:
        ensure_topics(kafka.address, {"json": 1})
        producer = Producer({"bootstrap.servers": kafka.address})
        lines = [
            b'{"type":"click","user_id":"u","ts":1700000000000,"id":"%s"}'
            % str(uuid.UUID(int=number % 50)).encode()
            for number in range(100)
        ]
        for line in lines:
            producer.produce("json", line, partition=0)
        assert producer.flush(20) == 0
        size = sum(map(len, lines))
        settings = LogSettings(kafka.address, "json", poll_bytes=size // 4)
        job = ReadSettings(settings, project="p")  # the messages name none
        reader = LogReader(settings, (0,), job.decode)
        reader.seek({0: 50}, None)
        polls: list[list[Message]] = []
        while sum(map(len, polls)) < 50:
            polls.append(reader.poll(5))
        assert len(polls) > 1
        assert all(sum(len(m.payload) for m in poll) < size // 2 for poll in polls)
        for poll in polls:
            for portion in portions(map(job.named, poll), job.currency):
                (part,) = portion.parts()
                keys = part.rows.column("dedup_key").to_numpy()
                fresh = reader.fresh(part.messages, part.counts, keys)
                assert fresh is not None
                assert not fresh.any()
        reader.close()
