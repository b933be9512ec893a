"""URL arguments: what every address says to those that it cannot use."""

from collections.abc import Mapping, Sequence
from typing import Final

from serving.ingest.errors import RequestError

PROJECT: Final = "project"  # whose numbers; of every address


def separated(text: str) -> list[str]:
    """What a setting lists with commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


def invalid(detail: str) -> RequestError:
    """A parameter that cannot be used."""
    return RequestError("parameter_invalid", detail)


def check_names(arguments: Mapping[str, list[str]], known: Sequence[str]) -> None:
    """Raise RequestError for a parameter that is not `known`."""
    unknown = set(arguments) - {*known, PROJECT}
    if unknown:
        raise invalid(
            f"There is no parameter {sorted(unknown)[0][:40]!r}; there are {', '.join(known)}."
        )
