"""What signs tickets and share links: random bytes, the same in all processes of the service."""

import os
import secrets
from pathlib import Path
from typing import Final

SECRET_BYTES: Final = 32


def new_secret() -> bytes:
    """For one start of the service."""
    return secrets.token_bytes(SECRET_BYTES)


def write_secret(path: Path) -> None:
    """A new one, that only its owner reads. Raises OSError, also when it is there."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(new_secret())


def read_secret(path: Path) -> bytes:
    """Raises OSError, and ValueError when it is too short."""
    found = path.read_bytes()
    if len(found) < SECRET_BYTES:
        raise ValueError(f"{path}: a secret has {SECRET_BYTES} bytes or more")
    return found
