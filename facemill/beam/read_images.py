"""Reads a collection of photos in any format that ingest reads."""

import os
from collections.abc import Iterator

import apache_beam as beam

from facemill.beam.rows import Image
from facemill.transforms import storage
from facemill.transforms.core.errors import UsageError
from facemill.transforms.dataset import artifact
from facemill.transforms.scan.chunk import Chunk
from facemill.transforms.scan.listing import ListImages
from facemill.transforms.sources import registry
from facemill.transforms.sources.base import Source, Unreadable
from facemill.transforms.sources.missing_identity import reason_of


class ReadImages(beam.PTransform):
    """PBegin -> Image, one for each image of a collection, with a reason where it cannot be read.

    The workers list and read the collection; its top level is listed where the pipeline is built.
    Photos outside the identities' folders are read too, without an identity.

    Args:
        photos: a directory, file or URL; or a `facemill.transforms.sources.base.Source`, such as
            one of your own.
        format: the format of the collection, one of
            `facemill.transforms.sources.names.FORMATS`; None to guess it by the names in it.
        root: for a manifest: the folder that its paths are relative to.
        image_column: for Parquet tables: the column that holds the images.
        label_column: for Parquet tables and WebDatasets: the column or extension that holds the
            identities.

    Raises:
        UsageError: there is no such collection, or its format is not clear.
    """

    def __init__(
        self,
        photos: str | os.PathLike[str] | Source,
        format: str | None = None,
        *,
        root: str | None = None,
        image_column: str | None = None,
        label_column: str | None = None,
    ) -> None:
        super().__init__()
        if isinstance(photos, Source):
            if any(one is not None for one in (format, root, image_column, label_column)):
                raise UsageError(
                    "A Source must come without format, root and columns, which it has decided "
                    f"itself, but {type(photos).__name__} came with some; leave them out."
                )
            self._source = photos
        else:
            self._source = _source(os.fspath(photos), format, root, image_column, label_column)
        self._tasks = self._source.tasks()

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection:
        """Builds the graph."""
        return (
            begin
            | "List" >> ListImages(self._source, self._tasks)
            | "Read" >> beam.FlatMap(_read, self._source).with_output_types(Image)
        )


def _source(
    photos: str,
    format: str | None,
    root: str | None,
    image_column: str | None,
    label_column: str | None,
) -> Source:
    path = storage.absolute(photos, "photos")
    if artifact.has_manifest(path, "photos"):
        raise UsageError(
            f"photos must be a collection of photos, but {path} is what a facemill command wrote; "
            "read a dataset with facemill.load_dataset."
        )
    images_root = root and storage.absolute(root, "root")
    return registry.build(
        format or registry.guess(path), path, images_root, image_column, label_column
    )


def _read(chunk: Chunk, source: Source) -> Iterator[Image]:
    """The images of a chunk, one after the other."""
    refs = chunk.refs
    contents = source.read([ref for ref in refs if not reason_of(ref)])
    for ref in refs:
        reason = reason_of(ref)
        content = Unreadable(reason) if reason else next(contents)
        if isinstance(content, Unreadable):
            why = content.reason
            yield Image(ref.image_id, None, ref.identity, str(why), ref.landmarks, why.code.value)
        else:
            yield Image(ref.image_id, content, ref.identity, None, ref.landmarks)
