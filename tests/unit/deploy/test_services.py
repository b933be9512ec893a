from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Consumer, Producer, TopicPartition

from deploy import services
from deploy.services import KafkaServer, TopicError, ValkeyServer, ensure_topics, free_port

pytestmark = pytest.mark.integration


@pytest.fixture
def kafka(tmp_path: Path) -> Iterator[KafkaServer]:
    with KafkaServer(tmp_path / "kafka", free_port()) as server:
        yield server


def produce(bootstrap: str, topic: str, value: bytes) -> None:
    options: dict[str, str | int] = {
        "bootstrap.servers": bootstrap,
        "message.max.bytes": services.MAX_MESSAGE_BYTES,
        "log_level": 0,
    }
    producer = Producer(options)
    failures: list[object] = []
    producer.produce(topic, value, partition=0, on_delivery=lambda error, _: failures.append(error))
    assert producer.flush(30) == 0
    assert failures == [None]


def consume(bootstrap: str, topic: str) -> tuple[int, int]:
    """Size of the first message of partition 0, and the kind of its timestamp."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "test", "log_level": 0})
    try:
        consumer.assign([TopicPartition(topic, 0, 0)])
        message = consumer.poll(30)
        assert message is not None
        assert message.error() is None
        return len(message.value() or b""), message.timestamp()[0]
    finally:
        consumer.close()


def test_kafka_takes_large_messages_and_keeps_them_over_a_restart(kafka: KafkaServer) -> None:
    ensure_topics(kafka.address)
    ensure_topics(kafka.address)
    produce(kafka.address, "events", b"x" * 8_000_000)
    first_pid = kafka.pid
    kafka.stop()
    kafka.start()
    assert kafka.pid != first_pid
    ensure_topics(kafka.address)
    assert consume(kafka.address, "events") == (8_000_000, TIMESTAMP_LOG_APPEND_TIME)
    with pytest.raises(TopicError, match="topic events has 8 partitions, wanted 4"):
        ensure_topics(kafka.address, {"events": 4})


def test_topics_of_nobody_is_one_line() -> None:
    with pytest.raises(TopicError) as caught:
        ensure_topics(f"127.0.0.1:{free_port()}", timeout=1)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("persistence", [True, False])
def test_valkey_keeps_what_it_should(tmp_path: Path, persistence: bool) -> None:
    server = ValkeyServer(free_port(), tmp_path, persistence)
    for expected in (1, 2 if persistence else 1):
        with server, redis.Redis.from_url(server.address) as client:
            assert client.incr("starts") == expected
