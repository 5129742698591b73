"""Pairs of images in a report: side by side where the photos can be had, else as a table."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from facemill.pipelines.common.photos import Photos
from facemill.pipelines.common.report import images, tables
from facemill.pipelines.common.report.markup import Markup
from facemill.transforms.scoring.embeddings import EmbeddingSet


@dataclass(frozen=True)
class Row:
    """Images that stand side by side.

    Attributes:
        images: their names; "" for one that there is none of.
        score: what stands behind them.
    """

    images: Sequence[str]
    score: str


def faces_of(path: str, manifest: Mapping[str, Any], ids: Iterable[str]) -> dict[str, bytes]:
    """A small JPEG of each face of some embeddings that can be had, by image_id."""
    return Photos(EmbeddingSet.of(path, manifest)).faces(ids)


def side_by_side(
    caption: str, titles: Sequence[str], rows: Sequence[Row], faces: Mapping[str, bytes]
) -> list[Markup | str]:
    """The rows as pictures below their caption, or as a table where there is no picture.

    Args:
        caption: says what they are.
        titles: of the columns of images.
        rows: in order.
        faces: JPEGs by name of the image.
    """
    if not any(name in faces for row in rows for name in row.images):
        columns: list[tables.Column | str] = [*titles, tables.Column("score", True)]
        cells = [(*map(short_name, row.images), row.score) for row in rows]
        return [tables.table(columns, cells, caption)]
    groups = []
    for row in rows:
        tiles = [
            images.Thumbnail(faces[name], short_name(name), title, name)
            for title, name in zip(titles, row.images, strict=True)
            if name in faces
        ]
        absent = [f"{name} is not there" for name in row.images if name and name not in faces]
        groups.append(images.Group(row.score, tiles, "; ".join(absent)))
    return [caption + ":", images.sheet(groups)]


def short_name(image: str) -> str:
    """The file of an image without its folders."""
    return image.rsplit("/", 1)[-1].removesuffix(".jpg")
