"""What must hold before anything is started; each problem is one line that says what to do."""

import re
import shutil
import subprocess
from collections.abc import Callable, Mapping

from deploy.ports import is_free
from deploy.settings import PREFIX

MIN_JAVA = 17


def problems(
    ports: Mapping[str, int],
    *,
    jars_built: bool,
    which: Callable[[str], str | None] = shutil.which,
) -> list[str]:
    """Everything that stands in the way; empty when all is well. `ports`: setting → port."""
    found = [busy_port(setting, port) for setting, port in ports.items()]
    found.append(java_problem(which("java")))
    if not jars_built and which("mvn") is None:
        found.append("mvn is not installed: it builds the jars (Debian: apt-get install maven)")
    return [problem for problem in found if problem is not None]


def busy_port(setting: str, port: int) -> str | None:
    """Whether another program listens on `port`, and which setting chooses another."""
    if is_free(port):
        return None
    return f"port {port} is in use: stop what listens there, or set {PREFIX}{setting.upper()}"


def java_problem(java: str | None) -> str | None:
    """Whether Java is missing or too old."""
    hint = "(Debian: apt-get install openjdk-17-jdk-headless)"
    if java is None:
        return f"java is not installed: version {MIN_JAVA} or newer is needed {hint}"
    try:
        done = subprocess.run(
            [java, "-version"], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"java does not run ({error}): version {MIN_JAVA} or newer is needed {hint}"
    version = java_major(done.stderr + done.stdout)
    if version is None:
        return f"java says no version: version {MIN_JAVA} or newer is needed {hint}"
    if version < MIN_JAVA:
        return f"java is version {version}: version {MIN_JAVA} or newer is needed {hint}"
    return None


def java_major(text: str) -> int | None:
    """The major version in the output of `java -version` (1.8 is 8)."""
    match = re.search(r'version "(\d+)(?:\.(\d+))?', text)
    if match is None:
        return None
    first = int(match[1])
    return int(match[2] or 0) if first == 1 else first
