"""The job server that Maven made, before anything runs on it."""

import subprocess
import zipfile
from pathlib import Path

import pytest

from deploy.artifacts import ensure_jars

pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]

OPERATOR = (
    "org/apache/beam/runners/flink/translation/wrappers/streaming/ExecutableStageDoFnOperator"
)
CHECK = Path(__file__).parent / "java" / "SelfCheckpointsCheck.java"


def test_the_runner_keeps_self_checkpoints_our_way() -> None:
    with zipfile.ZipFile(ensure_jars().flink_job_server) as jar:
        for part in (".class", "$SdkHarnessDoFnRunner.class"):  # writes, takes
            assert jar.namelist().count(OPERATOR + part) == 1
            assert b"streamlens/flink/SelfCheckpoints" in jar.read(OPERATOR + part)


def test_the_option_to_bring_no_jar_is_listed_to_python() -> None:
    with zipfile.ZipFile(ensure_jars().flink_job_server) as jar:
        registrars = jar.read(
            "META-INF/services/org.apache.beam.sdk.options.PipelineOptionsRegistrar"
        )
    assert b"streamlens.flink.InLib$Registrar" in registrars.split()
    assert b"org.apache.beam.runners.flink.FlinkRunnerRegistrar$Options" in registrars.split()


def test_residuals_wait_side_by_side_and_leave_nothing() -> None:
    command = ["java", "-cp", str(ensure_jars().flink_job_server), str(CHECK)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    first, second = done.stdout.splitlines()[:4], done.stdout.splitlines()[4:]
    assert sorted(first) == [  # in no order: all were set within a millisecond
        "sdf_checkpoint:0 a",
        "sdf_checkpoint:1 b",
        "sdf_checkpoint:1:0 old",  # by Beam's own handler, as in an older checkpoint
        "sdf_checkpoint:2 c",
    ]
    assert second == [
        "sdf_checkpoint:0 d",
        "held at 1700000000250",
        "waits true",
        "no residual waits for the timer sdf_checkpoint:0",
    ]
