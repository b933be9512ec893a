"""The jars of a standalone Flink cluster, fetched with Maven when a cluster is asked for.

`make run` and embedded Flink do not need them. About 65 MB; seconds when Maven has them already.
"""

from pathlib import Path
from typing import Final

from deploy.artifacts import Say, cache_home, kept, quiet, run_maven, stamp_of

_POM: Final = Path(__file__).resolve().parent / "flink" / "cluster-pom.xml"


def ensure_flink_jars(say: Say = quiet) -> Path:
    """A folder of jars, for -cp 'folder/*'. Safe to call from several processes at once.

    Raises `ArtifactError`.
    """
    home = cache_home() / "flink"

    def make(folder: Path) -> Path:
        say("fetching Flink with Maven (once)")
        run_maven(_POM, folder, home, "Flink", "to fetch Flink")
        return folder / "flink"

    return kept(home / "flink", home / "flink.stamp", stamp_of([_POM]), make)
