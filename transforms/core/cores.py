"""How many cores this process may use."""

import os


def usable() -> int:
    """Cores that this process may run on; all of the machine's where the system cannot tell.

    A share of time, as containers are given one, is not seen here: only which cores there are.
    """
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        # macOS and Windows.
        return os.cpu_count() or 1
