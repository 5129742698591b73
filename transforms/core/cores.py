"""How many cores this process may use."""

import math
import os
from collections.abc import Iterator


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
    for line in _text(os.path.join(root, "proc/self/cgroup")).splitlines():
        number, controllers, group = [*line.split(":", 2), "", ""][:3]
        if number == "0" and not controllers:
            # Version 2, perhaps beside version 1.
            mounts, read = ("", "unified"), _version_2
        elif "cpu" in controllers.split(","):
            mounts, read = ("cpu", controllers), _version_1
        else:
            continue
        for mount in mounts:
            top = os.path.join(root, "sys/fs/cgroup", mount)
            for one in _with_parents(group):
                limit = read(os.path.join(top, one))
                if limit is not None:
                    yield limit


def _with_parents(group: str) -> Iterator[str]:
    """The relative path of a group and of each group above it.

    In a container, the path may be that outside of it, of which only the top is mounted.
    """
    parts = [part for part in group.split("/") if part not in ("", ".", "..")]
    for count in range(len(parts), -1, -1):
        yield "/".join(parts[:count])


def _version_2(folder: str) -> float | None:
    return _share(_text(os.path.join(folder, "cpu.max")).split())


def _version_1(folder: str) -> float | None:
    names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
    return _share([_text(os.path.join(folder, name)).strip() for name in names])


def _share(values: list[str]) -> float | None:
    """Quota by period, both in microseconds; None for "max", -1 and what is absent."""
    if len(values) != 2 or not all(value.isdigit() for value in values):
        return None
    time, period = map(int, values)
    return time / period if time and period else None


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""
