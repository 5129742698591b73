"""Where files go that only one run needs, if its output is on an object store."""

from typing import Any

from facemill.transforms.core.errors import ParameterError
from facemill.transforms.core.fields import option

AUTO, DISK, STORE = "auto", "disk", "store"
SCRATCHES = (AUTO, DISK, STORE)


def scratch_option() -> Any:
    """The field `scratch` of a command's options; it never changes a byte of the result."""
    return option(
        AUTO,
        choices=SCRATCHES,
        help="where files go that only this run needs, if --output is on an object store: to a "
        "disk of this machine, which a local runner does by default, or to the store, which takes "
        "no room here and is how other runners do it; never changes a byte of the result",
    )


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
