"""Which columns of a table, or features of a record, hold the images and the identities.

A column that a person names is taken. Otherwise the first of some usual names counts, without
regard to case, and the choice is a guess.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from facemill.transforms.dataset.ignored_files import has_image_extension
from facemill.transforms.sources.guesses import Guess, GuessCode

# Names that can mean nothing else in a collection of faces; then names that identify people in
# published sets, such as CelebA (celeb_id) and VGGFace2 (class_id).
USUAL_IDENTITIES = ("identity", "label", "person", "name")
IDENTITIES = (
    *USUAL_IDENTITIES,
    *("identity_id", "person_id", "celeb_id", "subject_id", "class_id", "individual_id"),
    *("subject", "celeb_name", "class"),
)
# Columns of paths. The later ones are those of published lists: `file_name` of Hugging Face,
# `full_path` of IMDB-WIKI.
USUAL_PATHS = ("path", "file", "image")
PATHS = (*USUAL_PATHS, "file_name", "filename", "full_path", "filepath", "file_path", "image_path")
# How many rows are looked at.
PEEKED = 64


@dataclass(frozen=True)
class Label:
    """The column of identities.

    Attributes:
        name: of the column, or None.
        names_files: columns that have a usual name but hold names of files, one for each image.
        guesses: about it.
    """

    name: str | None
    names_files: tuple[str, ...] = ()
    guesses: tuple[Guess, ...] = ()


def present(names: Iterable[str], candidates: Sequence[str]) -> list[str]:
    """Those of `names` that are candidates, in the order of the candidates, whatever their case.

    Of several that differ by case, the one that is spelled like the candidate comes first.
    """
    rank = {candidate: order for order, candidate in enumerate(candidates)}
    found = [name for name in names if name.lower() in rank]
    return sorted(found, key=lambda name: (rank[name.lower()], name not in rank, name))


def choose_label(
    names: Sequence[str],
    sample: Mapping[str, Sequence[object]],
    where: str,
    candidates: Sequence[str] = IDENTITIES,
    usual: Sequence[str] = USUAL_IDENTITIES,
) -> Label:
    """The column of identities of a table.

    Args:
        names: all columns that can hold one.
        sample: of candidates, the values of the first rows.
        where: the file of the table, for the guesses.
        candidates: names of columns, the most likely first.
        usual: the candidates that need no word if no other column is one.
    """
    likely = present(names, candidates)
    files = [name for name in likely if name_files(sample.get(name, ()))]
    usable = [name for name in likely if name not in files]
    guesses = []
    if files:
        guesses.append(Guess.of(GuessCode.LABEL_NAMES_FILES, usable[:1], files, where))
    if len(usable) > 1 or (usable and usable[0].lower() not in usual and not files):
        guesses.append(Guess.of(GuessCode.LABEL_COLUMN, usable[:1], usable[1:], where))
    if not usable:
        guesses.append(Guess.of(GuessCode.NO_LABEL_COLUMN, (), list(names), where))
    return Label(usable[0] if usable else None, tuple(files), tuple(guesses))


def name_files(values: Iterable[object]) -> bool:
    """Whether values, of which there is one at least, are names of image files."""
    texts = [_text(value) for value in values if value is not None]
    return bool(texts) and all(text is not None and has_image_extension(text) for text in texts)


def _text(value: object) -> str | None:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else None
