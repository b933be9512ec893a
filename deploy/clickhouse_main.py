"""Runs the ClickHouse server that a shared library holds: `python -I -S clickhouse_main.py LIB …`.

The rest of the command line is the server's own. Imports nothing of this project.
"""

import ctypes
import os
import sys
from typing import Final

# int mainEntryClickHouseServer(int argc, char ** argv)
ENTRY: Final = "_Z25mainEntryClickHouseServeriPPc"


def main(library: str, arguments: list[str]) -> int:
    """The server's exit code. The library's own allocator must win: hence RTLD_DEEPBIND."""
    loaded = ctypes.CDLL(library, mode=os.RTLD_NOW | os.RTLD_LOCAL | os.RTLD_DEEPBIND)
    entry = getattr(loaded, ENTRY)
    entry.restype = ctypes.c_int
    words = [b"clickhouse-server", *(os.fsencode(word) for word in arguments)]
    argv = (ctypes.c_char_p * (len(words) + 1))(*words, None)
    return int(entry(len(words), argv))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
