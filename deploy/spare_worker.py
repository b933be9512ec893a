"""A Beam worker that has its imports done before a job wants it: `python -m deploy.spare_worker`.

Imports are most of what a worker does at its start. This process waits with them done for one line
on stdin, a worker's environment as JSON, and is that worker then. When stdin ends without a line,
as when the pool died, nobody wants it and it ends with code 0.
"""

import contextlib
import json
import os
import sys
from pathlib import Path

from apache_beam.runners.worker import sdk_worker_main

import pipelines.main  # noqa: F401  # with all that the job's workers import
from deploy.identity import WORKER


def main() -> int:
    """Wait, then be a worker until the runner ends it."""
    try:
        line = sys.stdin.readline()
    except KeyboardInterrupt:  # Ctrl-C at the pool's terminal
        return 0
    if not line:
        return 0
    os.environ.update(json.loads(line))
    with contextlib.suppress(OSError):  # a name, where there is /proc (Linux)
        Path("/proc/self/comm").write_text(WORKER)
    sdk_worker_main.main(sys.argv)
    return 0


if __name__ == "__main__":
    sys.exit(main())
