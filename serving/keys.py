"""`python -m serving.keys FILE …`: projects and keys of a registry file.

    init                                      an empty registry
    project shop --currency EUR --rate USD=0.92 --timezone Europe/Berlin
    write shop --origin https://shop.example  a key for the shop's pages
    read shop --filter country=DE --days 90   a key for a part of its numbers, for a while
    admin                                     a key for all
    list
    revoke ID                                 of a key, or of a share link

A new key is printed once and kept nowhere. Running processes follow the file; on several machines
hand the file out as you do other configuration. It is written whole or not at all, and by one at a
time; only its owner may read it.
"""

import argparse
import fcntl
import os
import re
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
from msgspec.structs import replace

from serving.credentials import (
    SHARE_ID_CHARS,
    Key,
    ReadKey,
    WriteKey,
    described,
    key_hash,
    new_key,
    now_utc,
)
from serving.projects import Index, Project, ProjectsError, RegistryFile, read_file

_SHARE_ID: Final = re.compile(rf"[0-9a-f]{{{SHARE_ID_CHARS}}}")


class Change(NamedTuple):
    """A registry as it shall be, and what to tell."""

    file: RegistryFile
    said: str


def add_project(file: RegistryFile, project: Project) -> Change:
    """One project more."""
    projects = [*file.projects, project]
    return Change(replace(file, projects=projects), f"project {project.name}")


def add_key(file: RegistryFile, name: str, key: WriteKey | ReadKey) -> Change:
    """One key more for a project. Raises ProjectsError without such a project."""
    if name not in {project.name for project in file.projects}:
        raise ProjectsError(f"there is no project {name}")

    def added(project: Project) -> Project:
        if project.name != name:
            return project
        if isinstance(key, WriteKey):
            return replace(project, write_keys=[*project.write_keys, key])
        return replace(project, read_keys=[*project.read_keys, key])

    return Change(replace(file, projects=[added(project) for project in file.projects]), key.id)


def add_admin(file: RegistryFile, key: Key) -> Change:
    """One key for all more."""
    return Change(replace(file, admin_keys=[*file.admin_keys, key]), key.id)


def revoke(file: RegistryFile, id: str) -> Change:
    """End a key or a share link. Raises ProjectsError when that cannot be its id."""
    found = [key for key in _keys(file) if key.id == id]
    if not found:
        if not _SHARE_ID.fullmatch(id):
            raise ProjectsError(f"{id} is the id of no key, and of no share link")
        shares = sorted({*file.revoked_shares, id})
        return Change(replace(file, revoked_shares=shares), f"share link {id} is revoked")
    moment = now_utc()

    def ended(keys: list[Any]) -> list[Any]:
        return [
            replace(key, revoked=moment) if key.id == id and key.revoked is None else key
            for key in keys
        ]

    projects = [
        replace(project, write_keys=ended(project.write_keys), read_keys=ended(project.read_keys))
        for project in file.projects
    ]
    changed = replace(file, projects=projects, admin_keys=ended(file.admin_keys))
    return Change(changed, f"key {id} is revoked")


def listing(file: RegistryFile) -> str:
    """One line for each key."""
    lines = []
    for project in file.projects:
        lines.append(f"{project.name} ({project.currency}, {project.timezone})")
        lines += [_line("write", key) for key in project.write_keys]
        lines += [_line("read", key) for key in project.read_keys]
    if file.admin_keys:
        lines += ["all projects", *(_line("admin", key) for key in file.admin_keys)]
    lines += [f"revoked share link {id}" for id in file.revoked_shares]
    return "\n".join(lines)


def _keys(file: RegistryFile) -> Iterator[Key]:
    yield from file.admin_keys
    for project in file.projects:
        yield from project.write_keys
        yield from project.read_keys


def _line(kind: str, key: Key) -> str:
    said = {name: value for name, value in described(key).items() if name != "id"}
    ended = key.ended(now_utc().timestamp()) or "open"
    facts = " ".join(
        f"{name}={msgspec.json.encode(value).decode()}" for name, value in said.items()
    )
    return f"  {kind:<5} {key.id}  {ended:<7}  {facts}".rstrip()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Nobody else changes the file meanwhile."""
    with path.with_name(path.name + ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def write_file(path: Path, file: RegistryFile) -> None:
    """In one step: a reader has the old one or the new one. Raises ProjectsError, OSError."""
    Index(file)
    data = msgspec.json.format(msgspec.json.encode(file), indent=2) + b"\n"
    read = msgspec.json.decode(data, type=RegistryFile)  # patterns are checked by decoding only
    if read != file:
        raise ProjectsError("the registry would not be read as it is meant")
    new = path.with_name(path.name + ".new")
    mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o600
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as written:
        os.fchmod(written.fileno(), mode)
        written.write(data)
        written.flush()
        os.fsync(written.fileno())
    new.replace(path)


def main(argv: Sequence[str] | None = None) -> int:
    """Exits with 2 when it cannot be done; then nothing has changed."""
    options = _parser().parse_args(argv)
    path: Path = options.file
    try:
        with locked(path):
            if options.command == "init":
                if path.exists():
                    raise ProjectsError(f"{path} is there already")
                write_file(path, RegistryFile([]))
            elif options.command == "list":
                print(listing(read_file(path)))
            else:
                change, key = _asked(options, read_file(path))
                write_file(path, change.file)
                print(change.said if key is None else f"{change.said}  {key}")
    except (ProjectsError, msgspec.ValidationError, OSError, ValueError) as error:
        print(f"serving.keys: {error}", file=sys.stderr)
        return 2
    return 0


def _asked(options: argparse.Namespace, file: RegistryFile) -> tuple[Change, str | None]:
    """What a command changes, and the key that it makes."""
    if options.command == "revoke":
        return revoke(file, options.id), None
    if options.command == "project":
        rates = dict(map(_pair, options.rate))
        said = {
            "name": options.name,
            "currency": options.currency,
            "timezone": options.timezone,
            "rates": rates,
        }
        return add_project(file, msgspec.convert(said, Project)), None
    secret = new_key(options.command)
    said = {"hash": key_hash(secret), "label": options.label, "created": now_utc()}
    if options.days is not None:
        said["expires"] = now_utc() + timedelta(days=options.days)
    if options.command == "admin":
        return add_admin(file, msgspec.convert(said, Key)), secret
    if options.command == "write":
        said["origins"] = options.origin
        return add_key(file, options.project, msgspec.convert(said, WriteKey)), secret
    said["filter"] = dict(map(_pair, options.filter))
    return add_key(file, options.project, msgspec.convert(said, ReadKey)), secret


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ProjectsError(f"{text} is not NAME=VALUE")
    return name, value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="serving.keys",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=Path)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("init")
    commands.add_parser("list")
    project = commands.add_parser("project")
    project.add_argument("name")
    project.add_argument("--currency", default="USD")
    project.add_argument("--timezone", default="UTC", help="whose days and clock hold")
    project.add_argument("--rate", action="append", default=[], help="EUR=1.08; several times")
    add: Callable[[str], argparse.ArgumentParser] = commands.add_parser
    for kind in ("write", "read", "admin"):
        made = add(kind)
        if kind != "admin":
            made.add_argument("project")
        made.add_argument("--label", default="")
        made.add_argument("--days", type=float, help="until it expires")
        if kind == "write":
            made.add_argument("--origin", action="append", default=[], help="several times")
        if kind == "read":
            made.add_argument("--filter", action="append", default=[], help="country=DE; …")
    commands.add_parser("revoke").add_argument("id")
    return parser


if __name__ == "__main__":
    sys.exit(main())
