"""Distinct users as the query API counts them."""

from events import sketch
from stores.contract import Reader, Slice


def unique_users(store: Reader, project: str, start: int, end: int) -> int:
    """The estimate of the union over a range, of the project's total."""
    return sum(map(sketch.estimate, store.users(Slice(project, (), (start, end))).values()))
