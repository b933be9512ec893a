"""Options of programs under load, all of which comes from one address: their limits count as they
do for users, and refuse nothing.
"""

from typing import Final

_REQUESTS: Final = ("--requests_per_ip=1000000", "--burst_per_ip=100000000")
COLLECTOR: Final = _REQUESTS
SERVICE: Final = (
    *_REQUESTS,
    "--requests_per_key=1000000",
    "--burst_per_key=100000000",
    "--max_sockets_per_ip=0",
    "--max_sockets_per_key=0",
)
