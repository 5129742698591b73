"""Lists of identities that a person keeps in a text file."""

from transforms import storage
from transforms.errors import UsageError


def read_identities(path: str, flag: str) -> frozenset[str]:
    """The identities that a file names, one a line.

    What follows a tab is left out, and so is a first line that is only a number: LFW's
    `peopleDevTrain.txt` can be given as it is.

    Args:
        path: of the text file, UTF-8.
        flag: the option that named it, for the message.

    Raises:
        UsageError: it cannot be read or names nobody.
    """
    try:
        lines = storage.read_bytes(path).decode("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{flag} must be a text file in UTF-8, got {path} ({error}); check the path."
        ) from None
    names = [line.split("\t")[0].strip() for line in lines]
    if names and names[0].isdigit():
        names = names[1:]
    found = frozenset(name for name in names if name)
    if not found:
        raise UsageError(f"{flag} must name at least one identity, but {path} names none; fill it.")
    return found
