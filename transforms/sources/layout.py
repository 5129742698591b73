"""What the folders of an input look like: a folder for each person, or something else?"""

from collections.abc import Sequence

from facemill.transforms import storage
from facemill.transforms.dataset.ignored_files import has_image_extension, why_ignored
from facemill.transforms.sources.guesses import Guess, GuessCode

# Folders whose contents are listed to find out, and names of folders in each that are said.
_LOOKED_AT, _SAID = 8, 3
_SPLIT_FOLDERS = frozenset(
    {
        *("train", "training", "trainset", "val", "valid", "validation", "dev"),
        *("test", "testing", "testset", "query", "gallery", "probe"),
    }
)
# Extensions of files that can list the images of a folder.
_LISTS = (".csv", ".tsv", ".txt", ".jsonl")


def guesses_of_folders(root: str, names: Sequence[str]) -> list[Guess]:
    """What is guessed where each folder directly under an input is taken for one person.

    Args:
        root: the input.
        names: directly under it, those of folders end in "/".
    """
    lists = [name for name in names if name.lower().endswith(_LISTS)]
    names = [name for name in names if not name.startswith(".") and why_ignored(name) is None]
    folders = [name.rstrip("/") for name in names if name.endswith("/")]
    images = [name for name in names if has_image_extension(name)]
    if not folders:
        return [Guess.of(GuessCode.NO_IDENTITY_FOLDERS, lists, images)] if images else []
    found = []
    if images:
        found.append(Guess.of(GuessCode.LOOSE_FILES, (), images))
    splits = [name for name in folders if name.lower() in _SPLIT_FOLDERS]
    below = {name: folders_in(root, name) for name in folders[:_LOOKED_AT]}
    inner = [f"{name}/{one}" for name, some in below.items() for one in some[:_SAID]]
    if splits and len(splits) == len(folders):
        found.append(Guess.of(GuessCode.SPLIT_FOLDERS, splits, inner))
    elif len(folders) == 1:
        found.append(Guess.of(GuessCode.ONE_FOLDER, folders, below[folders[0]]))
        if lists:
            found.append(Guess.of(GuessCode.LIST_BESIDE, (), lists))
    elif all(below.values()):
        found.append(Guess.of(GuessCode.FOLDERS_OF_FOLDERS, folders, inner))
    elif len(splits) > 1:
        found.append(Guess.of(GuessCode.SPLIT_FOLDERS, splits, inner))
    return found


def folders_in(root: str, folder: str) -> list[str]:
    """The folders directly in a folder that holds no files but ignored ones; [] for any other."""
    try:
        names = storage.top_level(storage.join(root, folder))
    except OSError:
        return []
    names = [name for name in names if not name.startswith(".") and why_ignored(name) is None]
    if not all(name.endswith("/") for name in names):
        return []
    return [name.rstrip("/") for name in names]
