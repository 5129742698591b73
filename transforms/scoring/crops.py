"""Writes aligned faces as Parquet, in the layout that the source `parquet` reads."""

import hashlib
from typing import Any

import apache_beam as beam
import pyarrow as pa

from facemill.transforms.dataset.output_files import OutputFiles
from facemill.transforms.dataset.parquet_parts import write_part
from facemill.transforms.scoring.read import Batch

# Of the artifact.
CROPS_KIND = "crops"
CROPS = pa.schema([("image_id", pa.string()), ("identity", pa.string()), ("image", pa.binary())])

# A reader decodes all rows before the one it wants in a row group.
_ROW_GROUP = 256


class WriteCrops(beam.PTransform):
    """Batch -> a receipt for each file.

    Pixels are not grouped: each batch is a file, which is named by the first face that it holds.

    Args:
        files: where the files of the crops are written.
    """

    def __init__(self, files: OutputFiles) -> None:
        super().__init__()
        self._files = files

    def expand(self, batches: beam.PCollection) -> beam.PCollection:
        """Builds the graph."""
        return batches | "Write" >> beam.Map(write_crops, self._files)


def write_crops(batch: Batch, files: OutputFiles) -> dict[str, Any]:
    """Writes the faces of a batch as one file.

    Args:
        batch: N faces, in the order of the listing.
        files: where the files of the crops are written.

    Returns:
        A receipt.
    """
    columns = {
        "image_id": [ref.image_id for ref in batch.refs],
        "identity": [ref.identity for ref in batch.refs],
        "image": [one.encoded for one in batch.images],
    }
    digest = hashlib.sha256(batch.refs[0].image_id.encode("utf-8", "surrogateescape"))
    name = f"part-{digest.hexdigest()[:24]}.parquet"
    return {"path": name, **write_part(pa.table(columns, schema=CROPS), files, name, _ROW_GROUP)}
