"""Which program is the ClickHouse server: an installed `clickhouse`, else the one inside a wheel.

The wheel `chdb` 3.7.2 carries a whole ClickHouse 25.8 server as a shared library, whose entry point
`deploy.clickhouse_main` calls. That symbol is undocumented, so the version and the wheels' hashes
are pinned exactly. Fetched once (about 180 MB, 0.9 GB unpacked) into `cache_home()/clickhouse`.
"""

import hashlib
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from deploy.artifacts import ArtifactError, Say, cache_home, locked, quiet, read_stamp, run_tool

# glibc 2.17 or newer, CPython 3.8 or newer: x86-64, then aarch64.
REQUIREMENT: Final = (
    "chdb==3.7.2"
    " --hash=sha256:c119f0830c12438a4e4b60b8370859ba50992e8b1b01a8c681e1c57eeb2dc82d"
    " --hash=sha256:605f121162b55bb3944af07c56a6f2290110b8f298c888047457c70105a0667b\n"
)
LIBRARY: Final = "chdb/_chdb.abi3.so"
_NEEDED: Final = (LIBRARY, "chdb.libs")  # the second beside the first, by its RPATH


def ensure_clickhouse(say: Say = quiet) -> list[str]:
    """The command that starts a server, to be followed by `--config-file=PATH`.

    Fetches the wheel when no `clickhouse` is installed and it is not there yet (some seconds).
    Safe to call from several processes at once. Raises `ArtifactError`.
    """
    installed = shutil.which("clickhouse")
    if installed is not None:
        return [installed, "server"]
    home = cache_home() / "clickhouse"
    if not _current(home):
        with locked(home):
            if not _current(home):
                say("fetching the ClickHouse server (once, 180 MB)")
                _fetch(home)
    main = Path(__file__).resolve().parent / "clickhouse_main.py"
    # -I: nothing of the caller's Python environment; -S: no site packages.
    return [sys.executable, "-I", "-S", str(main), str(home / "server" / LIBRARY)]


def _current(home: Path) -> bool:
    return read_stamp(home / "stamp") == _stamp() and (home / "server" / LIBRARY).exists()


def _stamp() -> str:
    return hashlib.sha256(REQUIREMENT.encode()).hexdigest()


def _fetch(home: Path) -> None:
    with tempfile.TemporaryDirectory(dir=home) as folder:
        requirements, target = Path(folder) / "requirements.txt", Path(folder) / "target"
        requirements.write_text(REQUIREMENT)
        options = ["--no-deps", "--require-hashes", "--target", str(target)]
        install = [*installer(), *options, "-r", str(requirements)]
        run_tool(install, Path(folder), "the installation of chdb", timeout=900)
        server = Path(folder) / "server"
        (server / "chdb").mkdir(parents=True)
        for name in _NEEDED:
            if (target / name).exists():
                (target / name).replace(server / name)
        if not (server / LIBRARY).exists():
            raise ArtifactError(f"the wheel of chdb holds no {LIBRARY} for this machine")
        (home / "stamp").unlink(missing_ok=True)
        shutil.rmtree(home / "server", ignore_errors=True)
        server.replace(home / "server")
        (home / "stamp").write_text(_stamp())


def installer() -> Sequence[str]:
    """uv beside this Python or on PATH, else pip."""
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if uv is not None:
        return [uv, "pip", "install", "--quiet", "--python", sys.executable]
    return [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
