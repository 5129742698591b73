"""Listing what is to be scored: the images of a folder, or the records of a dataset's shards."""

import os
from collections.abc import Iterator

import apache_beam as beam

from transforms import tfrecord
from transforms.listing import CHUNK, NO_FOLDER, ListImages
from transforms.records import from_example
from transforms.rows import Ref
from transforms.scoring.rows import Source


class ListFolder(beam.PTransform):
    """PBegin -> list[Source] of every file under a folder, whatever its extension.

    Args:
        root: the folder.
        names: directly under it.
    """

    def __init__(self, root: str, names: list[str]) -> None:
        super().__init__()
        self._root = root
        self._names = names

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection:
        """Builds the graph."""
        return (
            begin | "Files" >> ListImages(self._root, self._names) | "Sources" >> beam.Map(of_files)
        )


class ListRecords(beam.PTransform):
    """PBegin -> list[Source] of every record of a dataset.

    Args:
        root: the dataset.
        shards: paths relative to it.
    """

    def __init__(self, root: str, shards: list[str]) -> None:
        super().__init__()
        self._root = root
        self._shards = shards

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection:
        """Builds the graph."""
        return (
            begin
            | "Shards" >> beam.Create(self._shards, reshuffle=True)
            | "Records" >> beam.FlatMap(of_shard, self._root)
        )


def of_files(refs: list[Ref]) -> list[Source]:
    """Sources of listed files; one that lies in no identity's folder has no identity."""
    return [
        Source(
            image_id=ref.image_id,
            identity=ref.identity,
            path=ref.image_id,
            # Scoring needs no identity, so a file at the top is as good as any other.
            reason="" if ref.reason == NO_FOLDER else ref.reason,
        )
        for ref in refs
    ]


def of_shard(shard: str, root: str) -> Iterator[list[Source]]:
    """Sources of one shard's records, in chunks."""
    chunk: list[Source] = []
    with open(os.path.join(root, shard), "rb") as stream:
        offsets = [offset for offset, _ in tfrecord.scan(stream)]
        for offset in offsets:
            record = from_example(tfrecord.read_at(stream, offset))
            chunk.append(Source(record.image_id, record.identity or None, shard, offset))
            if len(chunk) == CHUNK:
                yield chunk
                chunk = []
    if chunk:
        yield chunk
