"""Lists of identities that a person keeps in a text file."""

from facemill.transforms import storage
from facemill.transforms.core.errors import ParameterError

# Columns of LFW's pairs files: `name i j` for one person, `name i name j` for two.
_GENUINE, _IMPOSTOR = 3, 4


def read_identities(path: str, parameter: str) -> frozenset[str]:
    """The identities that a file names, one a line, or in one of the layouts of LFW.

    Of `people*.txt` (a name, a tab, a number of images) the names are taken, of `pairs*.txt` the
    one or two names of each pair. In both, lines that hold only numbers of folds, pairs or people
    are passed over. In a file without tabs every line is a name, also one of digits.

    Args:
        path: of the text file, UTF-8.
        parameter: that names it, for the message.

    Raises:
        UsageError: it cannot be read or names nobody.
    """
    try:
        text = storage.read_bytes(path).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ParameterError(
            parameter,
            path,
            must="be a text file in UTF-8",
            got=f"{path} ({error})",
            do="check the path",
        ) from None
    found = _names([line.split("\t") for line in text.splitlines() if line.strip()])
    if not found:
        raise ParameterError(
            parameter,
            path,
            must="name at least one identity",
            but=f"{path} names none",
            do="fill it",
        )
    return found


def _names(lines: list[list[str]]) -> frozenset[str]:
    widest = max(map(len, lines), default=0)
    found = set()
    for columns in lines:
        # A line of counts has fewer columns than the others; an identity may be a number too.
        header = len(columns) < min(widest, _GENUINE) and all(c.strip().isdigit() for c in columns)
        if not header:
            found.add(columns[0].strip())
        if len(columns) == _IMPOSTOR:
            found.add(columns[2].strip())
    return frozenset(found - {""})
