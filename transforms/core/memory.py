"""How much memory this process may use, and how much it has, in bytes."""

import os

from facemill.transforms.core import control_groups

# Version 1 writes a number near 2**63 where there is no limit.
_NO_LIMIT = 1 << 60


def usable(root: str = "/") -> int | None:
    """Memory that this process may have in all, its own of today included.

    The smallest of what the machine has left beside other processes, and of the limits of the
    process's control groups.

    Args:
        root: directory in which `proc` and `sys` lie.

    Returns:
        None where the system does not say.
    """
    found = [*_limits(root)]
    left = _field(os.path.join(root, "proc/meminfo"), "MemAvailable")
    if left is not None:
        found.append(left + (resident(root) or 0))
    return min(found) if found else None


def resident(root: str = "/") -> int | None:
    """Memory that this process has now; None where the system does not say."""
    return _field(os.path.join(root, "proc/self/status"), "VmRSS")


def words(size: float) -> str:
    """A size as people write it, such as `1.5 GB`, in powers of 1,000."""
    for unit in ("bytes", "KB", "MB"):
        if size < 999.5:
            return f"{size:.0f} {unit}" if unit == "bytes" or size >= 9.95 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} GB"


def _limits(root: str) -> list[int]:
    names = {1: "memory.limit_in_bytes", 2: "memory.max"}
    found = [
        control_groups.text(os.path.join(folder, names[version])).strip()
        for version, folder in control_groups.folders("memory", root)
    ]
    # "max" is no limit.
    sizes = [int(one) for one in found if one.isdigit()]
    return [one for one in sizes if 0 < one < _NO_LIMIT]


def _field(path: str, name: str) -> int | None:
    """A field of a file of the system whose lines are `Name:  123 kB`."""
    for line in control_groups.text(path).splitlines():
        key, _, value = line.partition(":")
        number = value.split()[:1]
        if key == name and number and number[0].isdigit():
            return 1024 * int(number[0])
    return None
