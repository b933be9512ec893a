"""What the other engines run in: a venv each from a hashed lock, and Flink SQL's jars.

Made once, kept in `deploy.artifacts.cache_home()`; made again when a lock, the pom or the Java
changes. `python -m benchmarks.peers.environments` makes all of them.
"""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from deploy.artifacts import (
    REPO,
    ArtifactError,
    Say,
    cache_home,
    kept,
    quiet,
    run_maven,
    run_tool,
    stamp_of,
)

VENVS: Final = ("bytewax", "pathway")
_HERE: Final = Path(__file__).resolve().parent
_UV: Final = Path(sys.executable).parent / "uv"


def lock(name: str) -> Path:
    """The hashed lock of an engine."""
    return REPO / "requirements" / f"peers-{name}.txt"


def ensure_venv(name: str, say: Say = quiet) -> Path:
    """The Python of a venv with all of the engine's lock and nothing else. Raises ArtifactError."""
    home = cache_home() / "peers"

    def make(folder: Path) -> Path:
        say(f"installing {name} (once)")
        venv = folder / name
        run_tool([str(_UV), "venv", "--python", sys.executable, str(venv)], home, "uv venv")
        into = ["--python", str(venv / "bin" / "python")]
        sync = [str(_UV), "pip", "sync", "--require-hashes", *into, str(lock(name))]
        run_tool(sync, home, f"uv pip sync ({name})")
        return venv

    venv = kept(home / name, home / f"{name}.stamp", stamp_of([lock(name)]), make)
    return venv / "bin" / "python"


def ensure_flink_sql(say: Say = quiet) -> Path:
    """A folder of jars with the job among them, for -cp 'folder/*'. Raises ArtifactError."""
    home = cache_home() / "peers"
    recipe = [_HERE / "flink" / "pom.xml", *sorted((_HERE / "flink" / "src").rglob("*.java"))]

    def make(folder: Path) -> Path:
        say("building Flink SQL's job with Maven (once)")
        run_maven(recipe[0], folder, home, "Flink SQL", "to build Flink SQL's job")
        return folder / "flink-sql"

    return kept(home / "flink-sql", home / "flink-sql.stamp", stamp_of(recipe), make)


def main() -> int:
    """Make all; says on one line what could not be made, and goes on."""
    missing = 0
    makers: list[Callable[[Say], Path]] = [partial(ensure_venv, name) for name in VENVS]
    for make in (*makers, ensure_flink_sql):
        try:
            make(print)
        except ArtifactError as error:
            missing += 1
            print(error, file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
