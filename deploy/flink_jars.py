"""The jars of a standalone Flink cluster, fetched with Maven when a cluster is asked for.

`make run` and embedded Flink do not need them. About 65 MB; seconds when Maven has them already.
"""

import shutil
from pathlib import Path
from typing import Final

from deploy.artifacts import (
    ArtifactError,
    Say,
    cache_home,
    kept,
    quiet,
    run_tool,
    stamp_of,
)

_POM: Final = Path(__file__).resolve().parent / "flink" / "cluster-pom.xml"


def ensure_flink_jars(say: Say = quiet) -> Path:
    """A folder of jars, for -cp 'folder/*'. Safe to call from several processes at once.

    Raises `ArtifactError`.
    """
    home = cache_home() / "flink"

    def make(folder: Path) -> Path:
        maven = shutil.which("mvn")
        if maven is None:
            raise ArtifactError("mvn is not installed: it is needed once to fetch Flink")
        say("fetching Flink with Maven (once)")
        options = ["-B", "-ntp", "-q", f"-Djars.home={folder}"]
        run_tool([maven, *options, "-f", str(_POM), "package"], home, "Maven (Flink)")
        return folder / "flink"

    return kept(home / "flink", home / "flink.stamp", stamp_of([_POM]), make)
