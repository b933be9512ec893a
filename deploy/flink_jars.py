"""The jars of a standalone Flink cluster, fetched with Maven when a cluster is asked for.

`make run` and embedded Flink do not need them. About 65 MB; seconds when Maven has them already.
"""

import shutil
import tempfile
from pathlib import Path
from typing import Final

from deploy.artifacts import (
    ArtifactError,
    Say,
    cache_home,
    locked,
    quiet,
    read_stamp,
    run_tool,
    stamp_of,
)

_POM: Final = Path(__file__).resolve().parent / "flink" / "cluster-pom.xml"


def ensure_flink_jars(say: Say = quiet) -> Path:
    """A folder of jars, for -cp 'folder/*'. Safe to call from several processes at once.

    Raises `ArtifactError`.
    """
    home = cache_home() / "flink"
    product, stamp, wanted = home / "flink", home / "flink.stamp", stamp_of([_POM])
    if read_stamp(stamp) == wanted and product.is_dir():
        return product
    maven = shutil.which("mvn")
    if maven is None:
        raise ArtifactError("mvn is not installed: it is needed once to fetch Flink")
    with locked(home), tempfile.TemporaryDirectory(dir=home, prefix="build-") as folder:
        if read_stamp(stamp) == wanted and product.is_dir():
            return product
        say("fetching Flink with Maven (once)")
        options = ["-B", "-ntp", "-q", f"-Djars.home={folder}"]
        run_tool([maven, *options, "-f", str(_POM), "package"], home, "Maven (Flink)")
        stamp.unlink(missing_ok=True)
        if product.is_dir():
            shutil.rmtree(product)
        (Path(folder) / "flink").replace(product)
        stamp.write_text(wanted)
    return product
