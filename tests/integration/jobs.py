"""The job under test, as a user starts it."""

import os
import signal
from pathlib import Path

import redis

from deploy.artifacts import ensure_jars
from deploy.children import PythonChild, heartbeat_fresh
from deploy.process import ManagedProcess
from stores.layout import HEARTBEAT


def start_job(
    kafka: str, redis_url: str, logs: Path, *arguments: str, module: str = "pipelines.main"
) -> PythonChild:
    """`python -m pipelines.main` on embedded Flink, reading: its heart beats."""
    job = PythonChild(
        "pipeline",
        [
            module,
            "--runner=FlinkRunner",
            "--flink_master=[local]",
            f"--flink_job_server_jar={ensure_jars().flink_job_server}",
            "--parallelism=2",
            f"--kafka_bootstrap={kafka}",
            f"--redis_url={redis_url}",
            *arguments,
        ],
        heartbeat_fresh(redis_url),
        log_path=logs / "pipeline.log",
        environment={"JDK_JAVA_OPTIONS": "-Xmx1g"},
        ready_within=120,
    )
    forget_heartbeat(redis_url)
    job.start()
    return job


def forget_heartbeat(redis_url: str) -> None:
    """A heart that beat for the job before this one says nothing about this one."""
    with redis.Redis.from_url(redis_url) as client:
        client.delete(HEARTBEAT)


def kill_hard(process: ManagedProcess) -> None:
    """kill -9 of a process and all that belongs to it: no goodbye, nothing flushed."""
    assert process.pid is not None
    os.killpg(process.pid, signal.SIGKILL)
    process.stop()
