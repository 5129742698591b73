"""What a command wrote to a store, to compare it with what it writes to a disk."""

from pathlib import Path

from facemill.transforms import storage
from tests.artifacts import contents


def contents_of(url: str, folder: Path) -> dict[str, str]:
    """The content of an artifact on a store, see `tests.artifacts.contents`.

    Args:
        url: of the artifact.
        folder: to which it is copied; must not exist.
    """
    names = list(storage.walk_files(url))
    folder.mkdir()
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(storage.read_bytes(f"{url}/{name}"))
    return contents(folder)


def names_in(url: str) -> set[str]:
    """The names of all objects below a URL; none if there are none."""
    return set(storage.walk_files(url))
