"""The aligned faces that `facemill detect` wrote, as crops to score."""

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from facemill.transforms.sources.base import Ref
from facemill.transforms.sources.parquet import ParquetTables


class DetectedCrops(ParquetTables):
    """Rows of `transforms.scoring.crops.CROPS`; each keeps the image_id of its face.

    Args:
        root: absolute path or URL of the crops.
    """

    format: ClassVar[str] = "crops"

    def __init__(self, root: str) -> None:
        super().__init__(root, image_column="image", label_column="identity", key="image_id")

    def refs_of(self, path: str) -> Iterator[Ref]:
        """The faces of one file."""
        for ref in super().refs_of(path):
            # A damaged file has one row, named by the file.
            yield replace(ref, image_id=ref.image_id.removeprefix(f"{path}/"))
