"""How many cores this process may use."""

import math
import os
from collections.abc import Iterator

from facemill.transforms.core import control_groups


def usable() -> int:
    """Cores that this process may use, at least 1.

    The smaller of the cores in its affinity (all of the machine's where the system has none) and
    of its quota of CPU time, see `quota`.
    """
    try:
        count = len(os.sched_getaffinity(0))
    except AttributeError:
        # macOS and Windows.
        count = os.cpu_count() or 1
    limit = quota()
    return count if limit is None else min(count, limit)


def quota(root: str = "/") -> int | None:
    """Cores whose time the process's control groups allow it, rounded up; None without a limit.

    Containers are limited by such a quota of CPU time, while they see all cores of the machine. The
    limit of each group above the process's own holds too.

    Args:
        root: directory in which `proc` and `sys` lie.
    """
    limits = list(_limits(root))
    return max(1, math.ceil(min(limits))) if limits else None


def _limits(root: str) -> Iterator[float]:
    """The limits of all groups of the process, in cores."""
    for version, folder in control_groups.folders("cpu", root):
        limit = (_version_2 if version == 2 else _version_1)(folder)
        if limit is not None:
            yield limit


def _version_2(folder: str) -> float | None:
    return _share(control_groups.text(os.path.join(folder, "cpu.max")).split())


def _version_1(folder: str) -> float | None:
    names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
    return _share([control_groups.text(os.path.join(folder, name)).strip() for name in names])


def _share(values: list[str]) -> float | None:
    """Quota by period, both in microseconds; None for "max", -1 and what is absent."""
    if len(values) != 2 or not all(value.isdigit() for value in values):
        return None
    time, period = map(int, values)
    return time / period if time and period else None
