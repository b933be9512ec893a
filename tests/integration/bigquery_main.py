"""Starts `bqemulator`, run by the Python of its own folder: the command line is the emulator's.

It insists on DuckDB's spatial extension, which a package index has only as 80 MB more and we do not
need: nothing of ours is a GEOGRAPHY.
"""

import sys
from importlib import import_module


def main() -> int:
    """The emulator's exit code."""
    engine = import_module("bqemulator.storage.engine")
    engine.DuckDBEngine._load_spatial = lambda _: None
    code = import_module("bqemulator.cli").main()
    return int(code or 0)


if __name__ == "__main__":
    sys.exit(main())
