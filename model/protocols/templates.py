"""Pairs of templates, as IJB-B and IJB-C define them: a template is several images of a person.

Lists as IJB publishes them. `ijbc_face_tid_mid.txt` has an image, its template and its medium (a
photo, or a video with many frames) in each line, `ijbc_template_pair_label.txt` two templates and
1 or 0. Images of a medium are averaged first, so that a long video does not outweigh a photo, and
media then: Whitelam et al., IARPA Janus Benchmark-B Face Dataset (CVPR Workshops 2017).
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pc_csv

from facemill.model.metrics import verification
from facemill.transforms.core.errors import UsageError
from facemill.transforms.core.text import one_line

_PAIRS_AT_ONCE = 1 << 16
# The last name in a line of names above the columns; IJB's own lists have no such line.
_TITLES = ("medium", "media", "medium_id", "media_id", "mid", "label", "same", "genuine")
# A mean of opposite embeddings says nothing about anybody.
_LEAST_LENGTH = 1e-6


@dataclass(frozen=True)
class Media:
    """Images in the order of template, medium and name.

    Attributes:
        templates: names of the templates, sorted.
        images: [N] names.
        template: int64 [N], index of `templates`.
        medium: int64 [N], a number for each medium within a template, ascending.
    """

    templates: list[str]
    images: list[str]
    template: np.ndarray
    medium: np.ndarray


@dataclass(frozen=True)
class TemplatePairs:
    """Pairs in the order of the file.

    Attributes:
        left: int64 [P], index of the media's templates.
        right: int64 [P].
        genuine: bool [P].
    """

    left: np.ndarray
    right: np.ndarray
    genuine: np.ndarray


def parse_media(data: bytes, name: str) -> Media:
    """Reads image, template and medium of each line, divided by blanks, tabs or commas.

    An image may stand in several templates. The order of the lines makes no difference.

    Args:
        data: of the file.
        name: of the file, for messages.

    Raises:
        UsageError: it is no such list.
    """
    table = _read(data, name, ("image", "template", "medium"), "an image, a template and a medium")
    keys = [(column, "ascending") for column in ("template", "medium", "image")]
    table = table.sort_by(keys)
    template = table["template"].combine_chunks().dictionary_encode()
    rows = template.indices.to_numpy().astype(np.int64)
    medium = table["medium"].combine_chunks().dictionary_encode().indices.to_numpy()
    begins = np.ones(len(rows), bool)
    begins[1:] = (rows[1:] != rows[:-1]) | (medium[1:] != medium[:-1])
    return Media(
        template.dictionary.to_pylist(), table["image"].to_pylist(), rows, np.cumsum(begins) - 1
    )


def parse_template_pairs(data: bytes, name: str, media: Media) -> TemplatePairs:
    """Reads two templates and 1 or 0 of each line, divided likewise.

    Args:
        data: of the file.
        name: of the file, for messages.
        media: the images of the templates.

    Raises:
        UsageError: it is no such list, names a template without images, or lacks a class.
    """
    table = _read(data, name, ("left", "right", "label"), "two templates and 1 or 0")
    known = pa.array(media.templates, pa.string())
    sides = [
        pc.index_in(table[side].combine_chunks(), value_set=known).fill_null(-1).to_numpy()
        for side in ("left", "right")
    ]
    for side, rows in zip(("left", "right"), sides, strict=True):
        lost = np.flatnonzero(rows < 0)
        if len(lost):
            raise UsageError(
                f"{name}, pair {lost[0] + 1:,} must name templates of the list of images, which "
                f"has no {table[side][int(lost[0])].as_py()[:80]!r}; give the lists of one release."
            )
    labels = table["label"].combine_chunks()
    wrong = pc.invert(pc.is_in(labels, value_set=pa.array(["0", "1"]))).to_numpy(
        zero_copy_only=False
    )
    if wrong.any():
        at = int(wrong.argmax())
        raise UsageError(
            f"{name}, pair {at + 1:,} must say by 1 or 0 whether its templates show one identity, "
            f"got {labels[at].as_py()[:80]!r}; correct the file."
        )
    genuine = pc.equal(labels, "1").to_numpy(zero_copy_only=False)
    if genuine.all() or not genuine.any():
        raise UsageError(
            f"{name} must have genuine and impostor pairs, got {int(genuine.sum()):,} genuine of "
            f"{len(genuine):,}; give the whole file."
        )
    return TemplatePairs(sides[0].astype(np.int64), sides[1].astype(np.int64), genuine)


def make_templates(media: Media, rows: Mapping[str, int], vectors: np.ndarray) -> np.ndarray:
    """Means of the media's means, with length 1: float64 [T, D]; zeros for one without embedding.

    Args:
        media: the images of the templates.
        rows: image to row of `vectors`; one without an embedding is absent.
        vectors: float32 [N, D], of length 1.
    """
    present = np.array([image in rows for image in media.images], bool)
    means = np.zeros((len(media.templates), vectors.shape[1]))
    if not present.any():
        return means
    chosen = vectors[[rows[image] for image in media.images if image in rows]]
    medium, template = media.medium[present], media.template[present]
    starts = np.flatnonzero(np.r_[True, medium[1:] != medium[:-1]])
    counts = np.diff(np.r_[starts, len(medium)])
    of_media = np.add.reduceat(chosen.astype(np.float64), starts, axis=0) / counts[:, None]
    owner = template[starts]
    firsts = np.flatnonzero(np.r_[True, owner[1:] != owner[:-1]])
    many = np.diff(np.r_[firsts, len(owner)])
    means[owner[firsts]] = np.add.reduceat(of_media, firsts, axis=0) / many[:, None]
    lengths = np.linalg.norm(means, axis=1, keepdims=True)
    return np.where(lengths > _LEAST_LENGTH, means / np.maximum(lengths, _LEAST_LENGTH), 0)


def score_pairs(pairs: TemplatePairs, templates: np.ndarray) -> np.ndarray:
    """Cosines, float64 [P]; -inf for a pair of which a template is all zeros.

    Args:
        pairs: the pairs.
        templates: float64 [T, D], see `make_templates`.
    """
    exists = np.asarray(templates.any(axis=1))
    scores = np.full(len(pairs.genuine), -np.inf)
    compared = np.flatnonzero(exists[pairs.left] & exists[pairs.right])
    for start in range(0, len(compared), _PAIRS_AT_ONCE):
        some = compared[start : start + _PAIRS_AT_ONCE]
        scores[some] = verification.cosine(
            templates[pairs.left[some]], templates[pairs.right[some]]
        )
    return scores


def _read(data: bytes, name: str, columns: tuple[str, ...], what: str) -> pa.Table:
    lines = f"{name} must have {what} in each line"
    again = "give a list as IJB publishes it"
    if not data.strip():
        raise UsageError(f"{lines}, but it is empty; {again}.")
    first = data.lstrip()[:4096].splitlines()[0]
    delimiter = next((mark for mark in (",", "\t") if mark.encode() in first), " ")
    try:
        table = pc_csv.read_csv(
            io.BytesIO(data),
            pc_csv.ReadOptions(column_names=columns),
            pc_csv.ParseOptions(delimiter=delimiter),
            pc_csv.ConvertOptions(column_types=dict.fromkeys(columns, pa.string())),
        )
    except pa.ArrowException as error:
        raise UsageError(f"{lines}, got: {one_line(error)}; {again}.") from None
    table = pa.table([pc.utf8_trim_whitespace(table[column]) for column in columns], columns)
    if table[columns[-1]][0].as_py().lower() in _TITLES:
        table = table.slice(1)
    for column in columns:
        # Images without a medium would be averaged as if they were one video.
        at = pc.index(table[column], "").as_py()
        if at >= 0:
            raise UsageError(
                f"{name}, entry {at + 1:,} must have {what}, but its {column} is empty; {again}."
            )
    return table
