"""The option by which a run writes one of many outputs that lie side by side, and replaces it."""

import re
from typing import Any

from facemill.transforms.core.errors import ParameterError
from facemill.transforms.core.fields import option

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=-]*")


def partition_option() -> Any:
    """The field `partition` of a command's options."""
    return option(
        None,
        metavar="NAME",
        help="write to a directory NAME inside --output, such as 2026-11-25, and replace what a "
        "complete run wrote there before",
    )


def check_partition(name: str | None) -> None:
    """Checks the name of a partition.

    Args:
        name: of a directory, or None.

    Raises:
        UsageError: it is no such name.
    """
    if name is not None and not _NAME.fullmatch(name):
        raise ParameterError(
            "partition",
            name,
            must="be a name of letters, digits, '-', '_', '.' and '=' that begins with a letter or "
            "digit",
            got=repr(name),
            do="give one such as 2026-11-25",
        )
