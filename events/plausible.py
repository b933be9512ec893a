"""Whether the rows of a well-formed EventBatch can be counted.

The codec takes whatever has the right types. What our collector never writes, and would break or
falsify what comes after (nulls where there are none, times before the web, sums over 64 bits, a
project's name that reads as two), is refused here: as a whole, since one program made the batch.
"""

import re
from collections.abc import Mapping
from typing import Final

import pyarrow as pa

from events import limits
from events.batch import BatchError

_TIMES: Final = (limits.MIN_TS_MS, limits.MAX_TS_MS)
_MONEY: Final = (-limits.MAX_AMOUNT_MICROS, limits.MAX_AMOUNT_MICROS)
# Other columns may have nulls, which read as empty. Of hot columns only, so that both readers of
# the log refuse the same batches.
_NEVER_NULL: Final[Mapping[str, tuple[int, int] | None]] = {  # with the range of its values
    "event_time": _TIMES,
    "received_at": (0, limits.MAX_TS_MS),  # 0: nobody said
    "dedup_key": None,
    "user_hash": None,
    "bot": None,
    "revenue_micros": _MONEY,
}
_PROJECT: Final = re.compile(limits.PROJECT_NAME)


def is_project(name: str) -> bool:
    """Whether a project can have this name (see `serving.projects`)."""
    return _PROJECT.match(name) is not None


def check(project: str, rows: pa.RecordBatch) -> None:
    """Raise `BatchError` for rows that cannot be counted. About 20 µs."""
    if not is_project(project):
        raise BatchError(
            "message_project_invalid", f"no project's name, of {len(project)} characters"
        )
    for name, allowed in _NEVER_NULL.items():
        column = rows.column(name)
        if column.null_count:
            raise BatchError("message_values_invalid", f"nulls in {name}")
        if allowed is not None and len(column):
            values = column.to_numpy()
            if values.min() < allowed[0] or values.max() > allowed[1]:
                raise BatchError("message_values_invalid", f"{name} is out of range")
    for field, column in zip(rows.schema, rows.columns, strict=True):
        if pa.types.is_dictionary(field.type) and column.dictionary.null_count:
            raise BatchError("message_values_invalid", f"a null among the values of {field.name}")
