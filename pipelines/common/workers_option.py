"""The option by which a run takes threads or processes in each of the runner's worker processes."""

from typing import Any

from facemill.transforms.core import cores
from facemill.transforms.core.fields import option


def workers_option(what: str, where: str = "in each of the runner's worker processes") -> Any:
    """The field `workers` of a command's options; it never changes a byte of the result.

    By default it is the number of cores that this process may use, and 1 where a runner other than
    the local one starts worker processes of its own.

    Args:
        what: the threads or processes, and what they do, for the help.
        where: where they run, for the help.
    """
    return option(
        factory=cores.usable,
        least=1,
        advice="give 1",
        elsewhere=1,
        help=f"{what}, {where}; by default one for each core that may be used here; never changes "
        "a byte of the result",
    )
