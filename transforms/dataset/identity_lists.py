"""Lists of identities in text files."""

from facemill.transforms import storage
from facemill.transforms.core.errors import ParameterError
from facemill.transforms.dataset.identity_names import EXACT, compared_form

# Columns of LFW's pairs files: `name i j` is a genuine pair, `name i name j` an impostor pair.
_GENUINE, _IMPOSTOR = 3, 4


def read_identities(path: str, parameter: str, match: str = EXACT) -> frozenset[str]:
    """The identities in a file, in the form that everything compares: one per line, or of LFW.

    From `people*.txt` (a name, a tab, a number of images) it takes the names, from `pairs*.txt` the
    one or two names of each pair. In both it skips lines that hold only numbers of folds, pairs or
    people. In a file without tabs every line is a name, even if it consists of digits. A name of
    nobody, such as `nan`, is passed over.

    Args:
        path: of the text file, UTF-8.
        parameter: that gives the path, for the message.
        match: one of `transforms.dataset.identity_names.MATCHES`.

    Raises:
        UsageError: the file cannot be read or names no identity.
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
    spelled = _names([line.split("\t") for line in text.splitlines() if line.strip()])
    found = frozenset(filter(None, (compared_form(name, match) for name in spelled)))
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
        # A line of counts has fewer columns than the others; an identity may also be a number.
        header = len(columns) < min(widest, _GENUINE) and all(c.strip().isdigit() for c in columns)
        if not header:
            found.add(columns[0])
        if len(columns) == _IMPOSTOR:
            found.add(columns[2])
    return frozenset(found)
