"""Checks that a worker has the version of facemill that the job was submitted with."""

import functools
import platform
from importlib import metadata
from typing import Any

from facemill.transforms.core.errors import RunError


class VersionError(RunError):
    """A worker has another version of facemill than the launcher.

    Attributes:
        wanted: the launcher's version.
        found: the worker's version.
        machine: name of the worker.
    """

    def __init__(self, wanted: str, found: str, machine: str) -> None:
        self.wanted, self.found, self.machine = wanted, found, machine
        super().__init__(
            f"All workers must have facemill {wanted}, which submitted the job, got {found} on "
            f"{machine}; install facemill {wanted} there and start the workers again."
        )


class SameVersion:
    """A value that can only be unpickled where facemill has the version that pickled it.

    A step keeps one as its first attribute, so that the check costs no step of its own and comes
    before anything that differs between versions is unpickled.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return check_version, (installed_version(),)


def check_version(wanted: str) -> SameVersion:
    """Checks the version that is installed here.

    Args:
        wanted: the launcher's version.

    Raises:
        VersionError: another version is installed here.
    """
    found = installed_version()
    if found != wanted:
        raise VersionError(wanted, found, platform.node() or "a worker")
    return SameVersion()


@functools.cache
def installed_version() -> str:
    """The version of facemill that is installed here, or "no version" of bare sources."""
    try:
        return metadata.version("facemill")
    except metadata.PackageNotFoundError:
        return "no version"
