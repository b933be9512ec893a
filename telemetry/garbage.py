"""Python's search for garbage in cycles, made seldom: rows are many, and never in cycles.

With the defaults every 700 new objects begin a search, and now and then one of all that a process
holds, which for a worker of Beam is a million objects: two fifths of the time of reading JSON.
"""

import gc
from functools import cache


@cache
def seldom(whole: int = 100) -> None:
    """From now on, and never among what this process holds now: call it when all is loaded.

    All that came since is searched `whole` times less often than the last million objects.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, whole)
