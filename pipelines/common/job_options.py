"""Options that jobs on photos and embeddings share: threads or processes, and rejected images."""

from typing import Any

from facemill.transforms.core import cores
from facemill.transforms.core.fields import option


def workers_option(what: str, where: str = "in each of the runner's worker processes") -> Any:
    """The field `workers` of a command's options; it never changes a byte of the result.

    Args:
        what: the threads or processes that it counts, for the help text.
        where: they are, for the help text.
    """
    return option(
        factory=cores.usable,
        least=1,
        advice="give 1",
        elsewhere=1,
        help=f"{what}, {where}; by default one for each core that may be used here; never changes "
        "a byte of the result",
    )


def max_rejected_option(what: str, more: str = "", may_be_0: bool = False) -> Any:
    """The field `max_rejected` of a command's options.

    Args:
        what: the images that it counts, for the help text.
        more: what else the help text says, after a semicolon.
        may_be_0: whether a run may be asked to fail at the first one.
    """
    return option(
        0.5,
        least=0 if may_be_0 else None,
        above=None if may_be_0 else 0,
        most=1,
        advice="give 0.5",
        help=f"share of {what} above which the run fails{more and f'; {more}'}",
    )
