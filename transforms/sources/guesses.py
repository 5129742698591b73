"""What a source took for the layout or the columns of an input, and what it passed over.

Only values travel in a guess; `pipelines.common.guesses` makes the sentences for people.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from facemill.transforms.core.text import readable

# At most so many names are in a guess.
NAMED = 5


class GuessCode(str, Enum):
    """What was guessed; manifests have these values, so they are stable."""

    # Columns of tables, features of records, kinds of file in an archive.
    IMAGE_COLUMN = "image_column"
    LABEL_COLUMN = "label_column"
    LABEL_NAMES_FILES = "label_names_files"
    NO_LABEL_COLUMN = "no_label_column"
    PATHS_FOR_BYTES = "paths_for_bytes"
    IMAGES_OF_A_KEY = "images_of_a_key"
    DOTS_IN_KEYS = "dots_in_keys"
    # Folders.
    SPLIT_FOLDERS = "split_folders"
    ONE_FOLDER = "one_folder"
    FOLDERS_OF_FOLDERS = "folders_of_folders"
    LOOSE_FILES = "loose_files"
    NO_IDENTITY_FOLDERS = "no_identity_folders"
    # Lists.
    LIST_BESIDE = "list_beside"
    IDENTITY_FROM_FOLDER = "identity_from_folder"
    PATH_FORM = "path_form"
    PATHS_OUTSIDE = "paths_outside"
    FILE_NOT_USED = "file_not_used"


@dataclass(frozen=True, slots=True)
class Guess:
    """One guess about an input.

    Attributes:
        code: what was guessed.
        taken: what was taken: names of columns, folders or files; may be empty.
        passed_over: what could have been taken instead, or what a person should look at; the first
            few of `count`.
        where: the file of the input in which it was seen, or "" for the folder itself.
        count: how many `passed_over` stands for.
    """

    code: GuessCode
    taken: tuple[str, ...] = ()
    passed_over: tuple[str, ...] = ()
    where: str = ""
    count: int = 0

    @classmethod
    def of(
        cls,
        code: GuessCode,
        taken: Sequence[str] = (),
        passed_over: Sequence[str] = (),
        where: str = "",
    ) -> "Guess":
        """A guess that keeps the first few of many names."""
        first, others = (tuple(map(readable, some[:NAMED])) for some in (taken, passed_over))
        return cls(code, first, others, readable(where), len(passed_over))

    def to_manifest(self) -> dict[str, Any]:
        """The guess as a manifest has it."""
        return {
            "code": self.code.value,
            "taken": list(self.taken),
            "passed_over": list(self.passed_over),
            "where": self.where,
            "count": self.count,
        }
