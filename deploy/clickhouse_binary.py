"""Which program is the ClickHouse server: an installed `clickhouse`, else the one inside a wheel.

The wheel `chdb` 3.7.2 carries a whole ClickHouse 25.8 server as a shared library, whose entry point
`deploy.clickhouse_main` calls. That symbol is undocumented, so the version and the wheels' hashes
are pinned exactly. Fetched once (about 180 MB, 0.9 GB unpacked) into `cache_home()/clickhouse`.
"""

import hashlib
import shutil
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

from deploy.artifacts import ArtifactError, Say, cache_home, kept, quiet, run_tool

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
    stamp = hashlib.sha256(REQUIREMENT.encode()).hexdigest()
    library = home / "server" / LIBRARY
    kept(home / "server", home / "stamp", stamp, partial(_fetch, say), proof=library)
    main = Path(__file__).resolve().parent / "clickhouse_main.py"
    # -I: nothing of the caller's Python environment; -S: no site packages.
    return [sys.executable, "-I", "-S", str(main), str(library)]


def _fetch(say: Say, folder: Path) -> Path:
    """The server's files, out of the wheel."""
    say("fetching the ClickHouse server (once, 180 MB)")
    requirements, target = folder / "requirements.txt", folder / "target"
    requirements.write_text(REQUIREMENT)
    options = ["--no-deps", "--require-hashes", "--target", str(target)]
    install = [*installer(), *options, "-r", str(requirements)]
    run_tool(install, folder, "the installation of chdb", timeout=900)
    server = folder / "server"
    (server / "chdb").mkdir(parents=True)
    for name in _NEEDED:
        if (target / name).exists():
            (target / name).replace(server / name)
    if not (server / LIBRARY).exists():
        raise ArtifactError(f"the wheel of chdb holds no {LIBRARY} for this machine")
    return server


def installer() -> Sequence[str]:
    """uv beside this Python or on PATH, else pip."""
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if uv is not None:
        return [uv, "pip", "install", "--quiet", "--python", sys.executable]
    return [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
