"""A standalone Flink cluster on 127.0.0.1: JobManager, TaskManager and Beam's worker pool.

with FlinkCluster(tmp / "flink") as cluster:
    start the job with cluster.arguments()
    cluster.task_manager.stop(); cluster.task_manager.start()

Each is a process of its own, to be killed or frozen by itself. There is no high availability: a
JobManager that dies forgets its jobs, and the job is submitted again with --savepoint_path.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Self

from deploy.artifacts import ensure_jars
from deploy.children import PythonChild
from deploy.flink_jars import ensure_flink_jars
from deploy.flink_rest import FlinkError, FlinkRest
from deploy.identity import WORKER, name_of
from deploy.ports import HOST, accepts, free_port
from deploy.process import ManagedProcess

_MB: Final = 1024 * 1024
_RUNTIME: Final = "org.apache.flink.runtime"
# Java 17 hides what Flink's serializers look into; the list is Flink's own.
_OPENS: Final = (
    *("java.lang", "java.net", "java.io", "java.nio", "java.text", "java.time", "java.util"),
    *("java.lang.reflect", "java.util.concurrent", "java.util.concurrent.atomic"),
    *("java.util.concurrent.locks", "sun.nio.ch"),
)
_EXPORTS: Final = ("sun.net.util",)
# For JVMs that translate, submit and coordinate: the optimizing compiler costs more than it gives.
_PLAIN: Final = "-XX:TieredStopAtLevel=1"
# MB. Written down one by one, as Flink's own start script does: a TaskManager does not guess.
_TASK_MEMORY: Final[Mapping[str, int]] = {
    "framework.heap": 128,
    "task.heap": 768,
    "framework.off-heap": 128,
    "task.off-heap": 128,  # gRPC to the Python worker
    "network": 64,
    "managed": 64,
    "jvm-metaspace": 256,
    "jvm-overhead": 128,
}


class _FlinkProcess(ManagedProcess):
    """One JVM of Flink with the cluster's configuration, and the job's jar among its own.

    So no job brings it along (`InLib` in `arguments`), and what was loaded and compiled for one
    job is there for the next.
    """

    def __init__(self, name: str, folder: Path, rest: FlinkRest) -> None:
        super().__init__(name, folder / f"{name}.log", ready_within=180, stop_grace=15)
        self.folder = folder
        self.rest = rest

    def java(self, entry_point: str, *flags: str) -> list[str]:
        """The command line of an entry point, with JVM flags."""
        opened = [f"--add-opens=java.base/{name}=ALL-UNNAMED" for name in _OPENS]
        exported = [f"--add-exports=java.base/{name}=ALL-UNNAMED" for name in _EXPORTS]
        logging = Path(__file__).resolve().parent / "flink" / "log4j2.xml"
        return [
            *("java", "-XX:+UseG1GC", *flags, *opened, *exported),
            f"-Dlog4j2.configurationFile={logging}",
            *("-cp", f"{ensure_flink_jars()}/*:{ensure_jars().flink_job_server}"),
            f"{_RUNTIME}.{entry_point}",
            *("--configDir", str(self.folder / "conf")),
        ]


class JobManager(_FlinkProcess):
    """Takes jobs, and triggers checkpoints. 768 MB of heap."""

    def command(self) -> Sequence[str]:
        """A session cluster's entry point."""
        entry = "entrypoint.StandaloneSessionClusterEntrypoint"
        return self.java(entry, _PLAIN, "-Xmx768m", "-XX:MaxMetaspaceSize=256m")

    def is_ready(self) -> bool:
        """Whether REST answers, which is when jobs can be submitted."""
        try:
            self.rest.ask("/overview")
        except FlinkError:
            return False
        return True


class TaskManager(_FlinkProcess):
    """Runs tasks: 900 MB of heap, 1.6 GB in all."""

    _starts = 0

    def prepare(self) -> None:
        """A new name in the cluster: the one that died may still be listed."""
        self._starts += 1

    def command(self) -> Sequence[str]:
        """The JVM with the limits that the configuration promises."""
        memory = _TASK_MEMORY
        heap = memory["framework.heap"] + memory["task.heap"]
        direct = memory["framework.off-heap"] + memory["task.off-heap"] + memory["network"]
        flags = [f"-Xmx{heap}m", f"-Xms{heap}m", f"-XX:MaxDirectMemorySize={direct}m"]
        metaspace = f"-XX:MaxMetaspaceSize={memory['jvm-metaspace']}m"
        return [
            *self.java("taskexecutor.TaskManagerRunner", *flags, metaspace),
            *("-D", f"taskmanager.resource-id={self.resource_id}"),
        ]

    def is_ready(self) -> bool:
        """Whether this very start of it is registered."""
        try:
            known = self.rest.ask("/taskmanagers")["taskmanagers"]
        except FlinkError:
            return False
        return any(one["id"] == self.resource_id for one in known)

    @property
    def resource_id(self) -> str:
        """Its name in the cluster; another one at each start."""
        return f"taskmanager-{self._starts}"


class FlinkCluster:
    """One JobManager, one TaskManager, one worker pool; ports and files of its own.

    `checkpoints` and `savepoints` are folders below `folder`, and survive a stop. `spares` are
    Python workers kept ready for a start, by default one a slot.
    """

    def __init__(self, folder: Path, *, slots: int = 2, spares: int | None = None) -> None:
        self.folder = folder
        self.slots = slots
        self.rest = FlinkRest(f"{HOST}:{free_port()}")
        self.pool_port = free_port()
        self.job_manager = JobManager("jobmanager", folder, self.rest)
        self.task_manager = TaskManager("taskmanager", folder, self.rest)
        spares = slots if spares is None else spares
        self.worker_pool = PythonChild(
            "workerpool",
            ["deploy.worker_pool", f"--port={self.pool_port}", f"--spares={spares}"],
            lambda _: accepts(self.pool_port),
            log_path=folder / "workerpool.log",
            environment={},
            ready_within=180,
        )

    @property
    def checkpoints(self) -> Path:
        """Where jobs keep their checkpoints: CHECKPOINTS/JOB/chk-N."""
        return self.folder / "checkpoints"

    @property
    def savepoints(self) -> Path:
        """Where savepoints go."""
        return self.folder / "savepoints"

    def arguments(self, checkpoint_every_ms: int = 10_000) -> list[str]:
        """What `pipelines.main` needs to run here, with checkpoints that survive a cancel."""
        return [
            "--runner=FlinkRunner",
            f"--flink_master={self.rest.address}",
            f"--flink_job_server_jar={ensure_jars().flink_job_server}",
            f"--job_server_jvm_properties={_PLAIN}",
            "--pipeline_resources_detector_factory_class=streamlens.flink.InLib",
            "--environment_type=EXTERNAL",
            f"--environment_config={HOST}:{self.pool_port}",
            f"--parallelism={self.slots}",
            f"--checkpointing_interval={checkpoint_every_ms}",
            "--externalized_checkpoints_enabled",
            "--retain_externalized_checkpoints_on_cancellation",
            "--state_backend=filesystem",
            f"--state_backend_storage_path={self.checkpoints.resolve().as_uri()}",
        ]

    def workers(self) -> list[int]:
        """Pids of the Python workers that run now, without spare ones."""
        return [pid for pid in self.worker_pool.members() if name_of(pid) == WORKER]

    def write_configuration(self) -> None:
        """config.yaml, read by both JVMs."""
        for folder in (self.folder / "conf", self.folder / "tmp", self.checkpoints):
            folder.mkdir(parents=True, exist_ok=True)
        text = "".join(f'{name}: "{value}"\n' for name, value in self._settings().items())
        (self.folder / "conf" / "config.yaml").write_text(text)

    def start(self) -> None:
        """All three, ready for a job. Raises StartError."""
        self.write_configuration()
        try:
            for process in (self.job_manager, self.task_manager, self.worker_pool):
                process.start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop what runs of it; jobs are not cancelled and can be restored."""
        for process in (self.task_manager, self.worker_pool, self.job_manager):
            process.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _settings(self) -> dict[str, object]:
        memory = {
            f"taskmanager.memory.{name}{suffix}": f"{size}m"
            for name, size in _TASK_MEMORY.items()
            for suffix in _suffixes(name)
        }
        return {
            "rest.address": HOST,
            "rest.bind-address": HOST,
            "rest.port": self.rest.address.rpartition(":")[2],
            "jobmanager.rpc.address": HOST,
            "jobmanager.rpc.port": free_port(),
            "jobmanager.bind-host": HOST,
            "jobmanager.memory.heap.size": "768m",
            "taskmanager.host": HOST,
            "taskmanager.bind-host": HOST,
            "taskmanager.numberOfTaskSlots": self.slots,
            "taskmanager.cpu.cores": self.slots,
            **memory,
            "io.tmp.dirs": self.folder / "tmp",
            # A dead TaskManager is noticed, and its tasks restarted, within seconds.
            "heartbeat.interval": 2_000,
            "heartbeat.timeout": 20_000,
            "restart-strategy.type": "exponential-delay",
            "restart-strategy.exponential-delay.initial-backoff": "1 s",
            "restart-strategy.exponential-delay.max-backoff": "10 s",
        }


def _suffixes(name: str) -> tuple[str, ...]:
    """`.size`, or `.min` and `.max` for what Flink takes as a range."""
    return (".min", ".max") if name in ("network", "jvm-overhead") else (".size",)
