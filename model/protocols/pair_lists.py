"""Reads lists of pairs: LFW's files, and tables of two image paths with or without a label.

A list that begins with LFW's numbers is read by `lfw.parse_pairs`. Any other is a table, divided
by commas, semicolons, tabs or blanks. Its rows are

    Ada/1.jpg  Ada/2.jpg             two paths; the last folder of a path names the identity
    Ada/1.jpg  Grace/1.jpg  0        and whether they show one identity
    1  Ada/1.jpg  Ada/2.jpg          the same, in front
    Ada  1  4                        LFW's rows: a name and two numbers,
    Ada  1  Grace  2                 or two names with a number each
    Ada_1.jpg  1                     CALFW's and CPLFW's pairs of rows: an image and a number of
    Ada_2.jpg  1                     each, 0 for an impostor pair

with or without a header, which may name a column `fold`.
"""

import csv
from collections.abc import Mapping, Sequence

from facemill.model.protocols.lfw import Pair, PairList, image_of, parse_pairs
from facemill.transforms.core.errors import UsageError

_ONE = {"1", "1.0", "true", "yes", "same", "genuine", "match", "positive", "mated"}
_TWO = {"0", "0.0", "-1", "false", "no", "different", "diff", "impostor", "mismatch", "negative"}
_TWO |= {"non-mated", "nonmated"}
_LABELS = {"label", "labels", "genuine", "same", "is_same", "issame", "match", "target", "mated"}
_LEFT = {"left", "a", "first", "probe", "query"}
_RIGHT = {"right", "b", "second", "gallery", "reference"}
_STEMS = ("image", "img", "file", "path", "photo", "filename", "image_id", "im", "face", "id")
_LFW_HEADER = {"imagenum1", "imagenum2"}
_FORMS = "two paths, two paths and a label, or LFW's NAME, 1, 4 or NAME, 1, OTHER, 2"


def read_pairs(text: str, name: str) -> PairList:
    """Reads a list of pairs in any of the forms that this module names.

    The pairs of a table are sorted by their images, so their order in the file makes no
    difference. With a column `fold` they have these folds, else none.

    Args:
        text: of the file.
        name: of the file, for messages.

    Raises:
        UsageError: a row is malformed or names one image twice, two rows contradict each other, or
            a class has no pair; the message names the row.
    """
    text = text.removeprefix("\ufeff")
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
    lines = [(number, line) for number, line in lines if line]
    if not lines or _is_lfw(lines[0][1]):
        return parse_pairs(text, name)
    rows = _joined(rows_of(lines), name)
    columns = header_of(rows[0][1])
    if columns is not None or {word.lower() for word in rows[0][1]} >= _LFW_HEADER:
        rows = rows[1:]
    found: dict[tuple[str, str], tuple[int, bool, str]] = {}
    for number, words in rows:
        where = f"{name}, line {number}"
        left, right, genuine, fold = _pair(words, columns, where)
        key = (min(left, right), max(left, right))
        if left == right:
            raise UsageError(f"{where} must name two images, got {left} twice; correct the file.")
        before = found.setdefault(key, (number, genuine, fold))
        if before[1:] != (genuine, fold):
            raise UsageError(
                f"{where} must not contradict line {before[0]}, which has the pair {left}, {right} "
                "with another label or fold; correct the file."
            )
    names = sorted({fold for _, _, fold in found.values()})
    # Numbers are in the order of numbers.
    names.sort(key=lambda fold: (0, int(fold), "") if fold.isdecimal() else (1, 0, fold))
    pairs = tuple(
        Pair(left, right, genuine, names.index(fold))
        for (left, right), (_, genuine, fold) in sorted(found.items())
    )
    _check_classes(pairs, name)
    return PairList(view=None, folds=len(names), pairs=pairs)


def identity_of(image: str) -> str:
    """The last folder of an image's path; "" without one."""
    return image.rpartition("/")[0].rpartition("/")[2]


def _is_lfw(line: str) -> bool:
    words = line.split()
    return len(words) <= 2 and all(word.isascii() and word.isdigit() for word in words)


def rows_of(lines: Sequence[tuple[int, str]]) -> list[tuple[int, list[str]]]:
    """The cells of each line, without empty ones at the end."""
    first = lines[0][1]
    delimiter = next((mark for mark in (",", ";", "\t") if mark in first), None)
    rows = []
    for number, line in lines:
        words = line.split() if delimiter is None else next(csv.reader([line], delimiter=delimiter))
        words = [word.strip() for word in words]
        while words and not words[-1]:
            words.pop()
        rows.append((number, words))
    return rows


def _joined(rows: list[tuple[int, list[str]]], name: str) -> list[tuple[int, list[str]]]:
    """Pairs of rows, an image and a number in each, as one row of two images and a label."""
    if not all(len(words) == 2 and words[1].isdecimal() for _, words in rows):
        return rows
    joined = []
    for (number, first), (_, second) in zip(rows[::2], rows[1::2], strict=False):
        if first[1] != second[1]:
            raise UsageError(
                f"{name}, lines {number} and {number + 1} must be a pair with one number, got "
                f"{first[1]} and {second[1]}; correct the file."
            )
        joined.append((number, [first[0], second[0], str(int(int(first[1][:9]) > 0))]))
    if len(rows) % 2:
        raise UsageError(
            f"{name}, line {rows[-1][0]} must be followed by the other image of its pair; give "
            "the whole file."
        )
    return joined


def header_of(words: Sequence[str]) -> Mapping[str, int] | None:
    """Where a header names left, right, label and fold; None if the row is no header."""
    if any("/" in word or "\\" in word for word in words):
        return None
    columns: dict[str, int] = {}
    for index, word in enumerate(words):
        kind = _kind(word.lower())
        if kind is not None:
            columns.setdefault(kind, index)
    return columns if {"left", "right"} <= set(columns) else None


def _kind(word: str) -> str | None:
    if word in _LABELS or word == "fold":
        return "fold" if word == "fold" else "label"
    for side, words, number in (("left", _LEFT, "1"), ("right", _RIGHT, "2")):
        stem = word.removesuffix(number).rstrip("_- ")
        beside = {f"{one}_{noun}" for one in words for noun in _STEMS}
        beside |= {f"{noun}_{one}" for one in words for noun in _STEMS}
        if word in words or word in beside or (word.endswith(number) and stem in _STEMS):
            return side
    return None


def _pair(
    words: Sequence[str], columns: Mapping[str, int] | None, where: str
) -> tuple[str, str, bool, str]:
    """Left and right image, whether they show one identity, and the fold or ""."""
    if columns is not None:
        cells = {kind: words[at] for kind, at in columns.items() if at < len(words)}
        if not cells.get("left") or not cells.get("right"):
            raise UsageError(f"{where} must have two images, got {_shown(words)}; correct it.")
        label = cells.get("label", "") if "label" in columns else None
        return _labeled(cells["left"], cells["right"], label, where, cells.get("fold", ""))
    if len(words) == 2:
        return _labeled(words[0], words[1], None, where)
    numbers = [word.isascii() and word.isdigit() and len(word) < 10 for word in words]
    if len(words) == 3 and numbers[1:] == [True, True] and not numbers[0]:
        left, right = (image_of(words[0], int(word)) for word in words[1:])
        return left, right, True, ""
    if len(words) == 4 and numbers == [False, True, False, True]:
        left, right = (image_of(words[at], int(words[at + 1])) for at in (0, 2))
        return left, right, words[0] == words[2], ""
    if len(words) == 3 and words[0].lower() in _ONE | _TWO and words[2].lower() not in _ONE | _TWO:
        return _labeled(words[1], words[2], words[0], where)
    if len(words) == 3:
        return _labeled(words[0], words[1], words[2], where)
    raise UsageError(f"{where} must be {_FORMS}, got {_shown(words)}; correct the file.")


def _labeled(
    left: str, right: str, label: str | None, where: str, fold: str = ""
) -> tuple[str, str, bool, str]:
    left, right = (path.replace("\\", "/").removeprefix("./") for path in (left, right))
    if label is not None:
        word = label.lower()
        if word not in _ONE | _TWO:
            raise UsageError(
                f"{where} must say by 1 or 0 whether its images show one identity, got "
                f"{label!r}; correct the file."
            )
        return left, right, word in _ONE, fold
    names = identity_of(left), identity_of(right)
    if "" in names:
        raise UsageError(
            f"{where} must have a label, or paths whose last folder names the identity, got "
            f"{_shown([left, right])}; add a third column of 1 and 0."
        )
    return left, right, names[0] == names[1], fold


def _check_classes(pairs: Sequence[Pair], name: str) -> None:
    genuine = sum(pair.genuine for pair in pairs)
    if not 0 < genuine < len(pairs):
        raise UsageError(
            f"{name} must have genuine and impostor pairs, got {genuine:,} genuine and "
            f"{len(pairs) - genuine:,} impostor ones; add the others, or give `pairs` all."
        )


def _shown(words: Sequence[str]) -> str:
    line = " ".join(words)
    return repr(line if len(line) <= 80 else line[:77] + "...")
