"""Where files go that only one run needs, if its output is on an object store."""

from facemill.transforms.core.errors import ParameterError

AUTO, DISK, STORE = "auto", "disk", "store"
SCRATCHES = (AUTO, DISK, STORE)


def is_here(scratch: str, is_local: bool) -> bool:
    """Whether these files go to a disk of this machine.

    Args:
        scratch: one of SCRATCHES.
        is_local: whether all workers run on this machine.

    Raises:
        UsageError: a disk of this machine is asked for, and workers run elsewhere.
    """
    if scratch == DISK and not is_local:
        raise ParameterError(
            "scratch",
            scratch,
            must="be `store` with a runner whose workers are on other machines",
            do="leave it out",
        )
    return is_local if scratch == AUTO else scratch == DISK
