"""The control groups (cgroups) that a process is in, whose limits containers have."""

import os
from collections.abc import Iterator


def folders(controller: str, root: str = "/") -> Iterator[tuple[int, str]]:
    """The folder of each group of this process, and of each group above it, whose limits hold too.

    Args:
        controller: such as `cpu` or `memory`.
        root: directory in which `proc` and `sys` lie.

    Yields:
        (version of control groups, 1 or 2; a path, which may not exist).
    """
    for line in text(os.path.join(root, "proc/self/cgroup")).splitlines():
        number, controllers, group = [*line.split(":", 2), "", ""][:3]
        if number == "0" and not controllers:
            # Version 2, perhaps beside version 1.
            mounts, version = ("", "unified"), 2
        elif controller in controllers.split(","):
            mounts, version = (controller, controllers), 1
        else:
            continue
        for mount in mounts:
            top = os.path.join(root, "sys/fs/cgroup", mount)
            for one in _with_parents(group):
                yield version, os.path.join(top, one)


def text(path: str) -> str:
    """What a file of the system says; "" where it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""


def _with_parents(group: str) -> Iterator[str]:
    """The relative path of a group and of each group above it.

    In a container, the path may be that outside of it, of which only the top is mounted.
    """
    parts = [part for part in group.split("/") if part not in ("", ".", "..")]
    for count in range(len(parts), -1, -1):
        yield "/".join(parts[:count])
