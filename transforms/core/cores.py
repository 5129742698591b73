"""How many cores this process may use."""

import os


def usable() -> int:
    """Cores that this process may run on; all of the machine's where the system has no affinity.

    A container's quota of CPU time is not considered, only the set of cores.
    """
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        # macOS and Windows.
        return os.cpu_count() or 1
