"""The way to the broker: one narrow interface, and Kafka behind it."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from events.limits import MAX_MESSAGE_BYTES
from serving.ingest.settings import Settings
from telemetry import metrics

_log = logging.getLogger(__name__)

METADATA_TIMEOUT_S: Final = 2.0
POLL_S: Final = 0.1


class Outgoing(NamedTuple):
    """One message for one partition. `timestamp_ms` is the earliest event time in it."""

    partition: int
    value: bytes
    headers: list[tuple[str, bytes]]
    timestamp_ms: int


Delivered = Callable[[bool], None]


class Broker(Protocol):
    """Takes messages, and says of each whether the broker has it for good.

    Messages of one partition arrive in the order of `send`, each once (or, when `delivered(False)`
    was said, perhaps once or not at all).
    """

    def partitions(self) -> int:
        """How many partitions the topic has; 0 while that is not known."""
        ...

    def send(self, message: Outgoing, delivered: Delivered) -> None:
        """Returns at once. `delivered` is called exactly once, on the event loop, later."""
        ...

    async def start(self) -> None:
        """Connect; returns without waiting for a broker that does not answer."""
        ...

    async def reachable(self) -> bool:
        """Whether the broker answers and knows the topic."""
        ...

    async def stop(self) -> None:
        """Wait for what is under way, then let go."""
        ...


class KafkaBroker:
    """`Broker` on librdkafka: idempotent, acks from all replicas, own linger (ours comes before).

    The partition count is read once: more partitions in a running topic are used after a restart.
    """

    def __init__(self, settings: Settings) -> None:
        self._topic = settings.topic
        self._stop_within = settings.delivery_timeout_ms / 1_000 + 1
        self._producer = Producer(
            {
                "bootstrap.servers": settings.kafka_bootstrap,
                "acks": "all",
                "enable.idempotence": True,
                "compression.type": "none",  # the payload is compressed
                "linger.ms": 0,
                "message.max.bytes": MAX_MESSAGE_BYTES,
                "queue.buffering.max.messages": 100_000,
                "queue.buffering.max.kbytes": max(16_384, settings.max_buffered_bytes // 512),
                "delivery.timeout.ms": settings.delivery_timeout_ms,
                "request.timeout.ms": min(5_000, settings.delivery_timeout_ms),
                "socket.timeout.ms": 5_000,
                "reconnect.backoff.max.ms": 1_000,
            },
            logger=_log,
        )
        self._partitions = 0
        self._stopping = threading.Event()
        self._poller = threading.Thread(target=self._poll, name="kafka-poll", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connecting: asyncio.Task[None] | None = None

    def partitions(self) -> int:
        """0 until the broker has answered."""
        return self._partitions

    async def start(self) -> None:
        """Start the poll thread and look for the topic until it is there."""
        self._loop = asyncio.get_running_loop()
        self._poller.start()
        self._connecting = asyncio.create_task(self._connect())

    def send(self, message: Outgoing, delivered: Delivered) -> None:
        """Hand over to librdkafka; a full queue or a refused message is a failed delivery."""
        loop = self._loop
        if loop is None:
            raise RuntimeError("not started")

        began = time.perf_counter()

        def done(error: KafkaError | None, _: Message) -> None:  # on the poll thread
            metrics.COLLECTOR_PRODUCE.observe(time.perf_counter() - began)
            if error is None:
                metrics.COLLECTOR_MESSAGES.inc()
            else:
                metrics.COLLECTOR_BROKER_ERRORS.inc("undelivered")
                _log.warning("a message was not delivered: %s", error.name())
            loop.call_soon_threadsafe(delivered, error is None)

        try:
            self._producer.produce(
                self._topic,
                message.value,
                partition=message.partition,
                headers=list(message.headers),
                timestamp=message.timestamp_ms,
                on_delivery=done,
            )
            metrics.COLLECTOR_MESSAGE_BYTES.add(len(message.value))
        except (BufferError, KafkaException) as error:
            metrics.COLLECTOR_BROKER_ERRORS.inc("refused")
            _log.warning("a message was not queued: %s", error)
            loop.call_soon(delivered, False)

    async def reachable(self) -> bool:
        """Asks for the topic's metadata, for at most two seconds."""
        return await asyncio.to_thread(self._count_partitions) > 0

    async def stop(self) -> None:
        """Flush within the delivery timeout and join the poll thread."""
        if self._connecting is not None:
            self._connecting.cancel()
        left = await asyncio.to_thread(self._producer.flush, self._stop_within)
        if left:
            _log.error("%d messages were given up at shutdown", left)
        self._stopping.set()
        await asyncio.to_thread(self._poller.join, 5)

    async def _connect(self) -> None:
        while True:
            self._partitions = await asyncio.to_thread(self._count_partitions)
            if self._partitions:
                _log.info("topic %s has %d partitions", self._topic, self._partitions)
                return
            await asyncio.sleep(1)

    def _count_partitions(self) -> int:
        try:
            topics = self._producer.list_topics(self._topic, timeout=METADATA_TIMEOUT_S).topics
        except KafkaException:
            return 0
        found = topics.get(self._topic)
        return 0 if found is None or found.error is not None else len(found.partitions)

    def _poll(self) -> None:
        while not self._stopping.is_set():
            self._producer.poll(POLL_S)
