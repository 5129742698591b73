"""The verification protocol of Labeled Faces in the Wild, in its image-restricted form.

Huang, Ramesh, Berg, Learned-Miller: "Labeled Faces in the Wild", University of Massachusetts,
Amherst, Technical Report 07-49 (2007), sections IV and V.

View 2 (`pairs.txt`) has folds: the threshold of each comes from all other folds, and the result
is the mean of the folds' accuracies with its standard error. View 1 (`pairsDevTrain.txt`,
`pairsDevTest.txt`) is one list, for choosing models: the threshold comes from the development
pairs of the train list, or, without them, from folds made of the list itself.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from facemill.model.metrics import verification
from facemill.transforms.core.errors import ParameterError, UsageError

# A list without folds is cut into this many, the number that View 2 has.
_DEFAULT_FOLDS = 10


@dataclass(frozen=True)
class Pair:
    """Two images, `NAME/NAME_0001.jpg`; whether they show one identity; the fold, from 0."""

    left: str
    right: str
    genuine: bool
    fold: int


@dataclass(frozen=True)
class PairList:
    """A pairs file.

    Attributes:
        view: 2 if the file has folds, else 1; None for a list that is not of LFW's format.
        folds: number of folds; 1 in View 1.
        pairs: in the order of the file.
    """

    view: int | None
    folds: int
    pairs: tuple[Pair, ...]

    @property
    def genuine(self) -> np.ndarray:
        """Which pairs are genuine, bool [N]."""
        return np.array([pair.genuine for pair in self.pairs], bool)

    @property
    def fold(self) -> np.ndarray:
        """The fold of each pair, int64 [N]."""
        return np.array([pair.fold for pair in self.pairs], np.int64)

    @property
    def images(self) -> tuple[str, ...]:
        """Every image that a pair names, once, sorted."""
        return tuple(sorted({image for pair in self.pairs for image in (pair.left, pair.right)}))


@dataclass(frozen=True)
class Fold:
    """One held-out fold: number from 1, count of pairs, threshold from other pairs, accuracy."""

    number: int
    pairs: int
    threshold: float
    accuracy: float


@dataclass(frozen=True)
class Accuracy:
    """What the protocol reports.

    Attributes:
        mean: share of pairs decided correctly, 0..1; with folds, the mean of their shares.
        standard_error: of the mean: with folds, their standard deviation (with n - 1) divided
            by the root of their number; on one list, sqrt(p (1 - p) / n).
        threshold_from: one sentence on where the thresholds come from.
        folds: each fold; on one list with development pairs, that list alone.
    """

    mean: float
    standard_error: float
    threshold_from: str
    folds: tuple[Fold, ...]


def parse_pairs(text: str, name: str) -> PairList:
    """Reads a pairs file of either view.

    The first line is `FOLDS<tab>PAIRS` (View 2) or `PAIRS` (View 1). Each fold then has PAIRS lines
    `NAME<tab>1<tab>4` of genuine pairs and PAIRS lines `NAME<tab>1<tab>OTHER<tab>2` of impostor
    pairs, in LFW's files one after the other. Blanks may stand for tabs. Empty lines, blanks at the
    ends of a line and a byte order mark are passed over.

    Args:
        text: of the file.
        name: of the file, for messages.

    Raises:
        UsageError: a line is malformed; the message names the first such line.
    """
    numbered = enumerate(text.removeprefix("\ufeff").split("\n"), 1)
    places, lines = [], []
    for number, line in numbered:
        if line.strip():
            places.append(number)
            lines.append(line.strip())
    if not lines:
        raise UsageError(f"{name} must be a pairs file, but it is empty; give LFW's pairs.txt.")
    header = [_positive(word) for word in lines[0].split()]
    if len(header) not in (1, 2) or None in header:
        raise UsageError(
            f"{name}, line 1 must be FOLDS and PAIRS (10<tab>300) or PAIRS (500), "
            f"got {_shown(lines[0])}; give a pairs file of LFW's format."
        )
    folds, per_class = header if len(header) == 2 else (1, *header)
    assert folds is not None
    assert per_class is not None
    expected = 2 * folds * per_class
    if len(lines) - 1 != expected:
        raise UsageError(
            f"{name} must have {expected} pairs after its first line, as that line says, "
            f"got {len(lines) - 1}; give the whole file."
        )
    pairs: list[Pair] = []
    left = {True: 0, False: 0}
    for index, (number, line) in enumerate(zip(places[1:], lines[1:], strict=True)):
        fold, within = divmod(index, 2 * per_class)
        if within == 0:
            left = {True: per_class, False: per_class}
        # Where a class is complete the line is of the other one, or wrong.
        genuine = bool(left[True]) and (len(_words(line)) != 4 or not left[False])
        left[genuine] -= 1
        pairs.append(_parse_line(line, genuine, fold, f"{name}, line {number}"))
    return PairList(view=len(header), folds=folds, pairs=tuple(pairs))


def evaluate(
    pairs: PairList, scores: np.ndarray, threshold_pairs: tuple[PairList, np.ndarray] | None = None
) -> Accuracy:
    """The accuracy that the protocol defines.

    Args:
        pairs: the list.
        scores: float [N], greater is more alike; -inf marks a pair that can never match.
        threshold_pairs: another list and its scores, from which the threshold is taken.

    Raises:
        UsageError: a list without folds has fewer than two pairs of a class, so it cannot give
            its own threshold.
    """
    genuine = pairs.genuine
    if threshold_pairs is not None:
        other, other_scores = threshold_pairs
        threshold = _threshold(other_scores, other.genuine)
        fold = pairs.fold
        thresholds = [threshold] * pairs.folds
        source = f"the {len(other.pairs)} pairs of the threshold list"
    else:
        fold = pairs.fold if pairs.folds > 1 else _make_folds(genuine)
        count = int(fold.max()) + 1
        if count < 2:
            raise ParameterError(
                "pairs",
                len(genuine),
                must="have at least two folds, or two pairs of each class, to give its own "
                "threshold",
                got=f"{len(genuine)} pairs",
                do="add `threshold_pairs`",
            )
        thresholds = [
            _threshold(scores[fold != held_out], genuine[fold != held_out])
            for held_out in range(count)
        ]
        made = "" if pairs.folds > 1 else " that this list was cut into"
        source = f"each fold's from the {count - 1} other folds{made}"
    rows = tuple(
        Fold(
            number=index + 1,
            pairs=int(np.count_nonzero(fold == index)),
            threshold=threshold,
            accuracy=verification.accuracy_at(
                scores[(fold == index) & genuine], scores[(fold == index) & ~genuine], threshold
            ),
        )
        for index, threshold in enumerate(thresholds)
    )
    mean = float(np.mean([row.accuracy for row in rows]))
    return Accuracy(mean, _standard_error(rows), source, rows)


def _threshold(scores: np.ndarray, genuine: np.ndarray) -> float:
    return verification.best_accuracy(scores[genuine], scores[~genuine])[1]


def _make_folds(genuine: np.ndarray) -> np.ndarray:
    """Folds, int64 [N]: runs of consecutive pairs in each class.

    The lists are sorted by name, so runs keep most pairs of one identity in one fold.
    """
    smaller = min(int(np.count_nonzero(genuine)), int(np.count_nonzero(~genuine)))
    count = max(min(_DEFAULT_FOLDS, smaller), 1)
    fold = np.zeros(len(genuine), np.int64)
    for members in (np.flatnonzero(genuine), np.flatnonzero(~genuine)):
        fold[members] = np.arange(len(members)) * count // len(members)
    return fold


def _standard_error(rows: Sequence[Fold]) -> float:
    if len(rows) > 1:
        accuracies = [row.accuracy for row in rows]
        return float(np.std(accuracies, ddof=1) / math.sqrt(len(rows)))
    (row,) = rows
    return math.sqrt(row.accuracy * (1 - row.accuracy) / row.pairs)


def _parse_line(line: str, genuine: bool, fold: int, where: str) -> Pair:
    words = _words(line)
    if genuine:
        numbers = [_positive(word) for word in words[1:]]
        if len(words) != 3 or None in numbers or numbers[0] == numbers[1] or not words[0]:
            raise UsageError(
                f"{where} must be a name and two different image numbers with tabs between, "
                f"got {_shown(line)}; correct the file."
            )
        left, right = words[0], words[0]
    else:
        numbers = [_positive(word) for word in words[1::2]]
        names = words[0::2]
        if len(words) != 4 or None in numbers or names[0] == names[1] or "" in names:
            raise UsageError(
                f"{where} must be a name, an image number, another name and an image number with "
                f"tabs between, got {_shown(line)}; correct the file."
            )
        left, right = names
    assert numbers[0] is not None
    assert numbers[1] is not None
    return Pair(image_of(left, numbers[0]), image_of(right, numbers[1]), genuine, fold)


def image_of(name: str, number: int) -> str:
    """The image that a name and a number stand for: `NAME/NAME_0001.jpg`."""
    return f"{name}/{name}_{number:04d}.jpg"


def _words(line: str) -> list[str]:
    # A name may hold blanks where tabs divide.
    return [word.strip() for word in line.split("\t")] if "\t" in line else line.split()


def _positive(word: str) -> int | None:
    # Nine digits at most: Python refuses to convert numbers of thousands of digits.
    if word.isascii() and word.isdigit() and len(word) < 10 and int(word) > 0:
        return int(word)
    return None


def _shown(line: str) -> str:
    return repr(line if len(line) <= 80 else line[:77] + "...")
