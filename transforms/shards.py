"""Writing shards: which record goes where follows from its key, and each shard is written once."""

import hashlib
import math
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Literal

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput

from transforms import tfrecord
from transforms.keyed import keyed_hash
from transforms.records import Record
from transforms.rows import Photo, Row, partition
from transforms.staging import StagingReader

RECEIPTS_TAG = "receipts"

# A shard is read as one stream: enough of them for parallel readers, none too large to move.
_RECORDS_PER_SHARD = 10_000
_USUAL_SHARDS = 16
_FEWEST_RECORDS = 500


def shard_count(records: int) -> int:
    """How many shards a split of so many records has: 0 if it is empty, else 1, 16 or more."""
    spread = min(_USUAL_SHARDS, math.ceil(records / _FEWEST_RECORDS))
    return max(math.ceil(records / _RECORDS_PER_SHARD), spread)


def shard_name(split: str, index: int, count: int) -> str:
    """Path of a shard relative to its dataset."""
    return f"{split}/part-{index:05d}-of-{count:05d}.tfrecord"


class WriteShards(beam.PTransform):
    """list[Photo] -> list[Row] with shard and position, and a receipt per shard ("receipts").

    Args:
        folder: where `train/`, `val/` and `test/` are written.
        seed: of the order of the records.
    """

    def __init__(self, folder: str, seed: int) -> None:
        super().__init__()
        self._folder = folder
        self._seed = seed

    def expand(self, photos: beam.PCollection) -> Any:
        """Builds the graph."""
        counts = (
            photos
            | "Splits" >> beam.FlatMap(_split_sizes).with_output_types(tuple[str, int])
            | "Count" >> beam.CombinePerKey(sum)
        )
        return (
            photos
            | "ByShard"
            >> beam.FlatMap(_by_shard, beam.pvalue.AsDict(counts), self._seed).with_output_types(
                tuple[str, list[Photo]]
            )
            | "GroupShards" >> beam.GroupByKey()
            | "Write"
            >> beam.ParDo(_WriteShard(self._folder, self._seed)).with_outputs(
                RECEIPTS_TAG, main="rows"
            )
        )


def _split_sizes(photos: list[Photo]) -> Iterable[tuple[str, int]]:
    parts = partition(photos, lambda one: one.row.split or "")
    return [(split, len(part)) for split, part in parts.items()]


def _by_shard(
    photos: list[Photo], counts: Mapping[str, int], seed: int
) -> Iterable[tuple[str, list[Photo]]]:
    def shard(photo: Photo) -> str:
        split = photo.row.split or ""
        count = shard_count(counts[split])
        return shard_name(split, keyed_hash(seed, "shard", photo.row.image_id) % count, count)

    return partition(photos, shard).items()


class _WriteShard(beam.DoFn):
    def __init__(self, folder: str, seed: int) -> None:
        self._folder = folder
        self._seed = seed

    def process(
        self, group: tuple[str, Iterable[list[Photo]]]
    ) -> Iterator[list[Row] | TaggedOutput[Literal["receipts"], dict[str, Any]]]:
        name, parts = group
        photos = sorted((photo for part in parts for photo in part), key=self._order)
        receipt = _write(os.path.join(self._folder, name), photos)
        yield TaggedOutput(RECEIPTS_TAG, {"path": name, **receipt})
        yield [
            replace(photo.row, shard=name, position=position)
            for position, photo in enumerate(photos)
        ]

    def _order(self, photo: Photo) -> tuple[int, str]:
        return keyed_hash(self._seed, "order", photo.row.image_id), photo.row.image_id


def _write(path: str, photos: list[Photo]) -> dict[str, Any]:
    """Writes a shard under a temporary name and renames it; its size, SHA-256 and records."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    temporary = f"{path}.tmp-{secrets.token_hex(6)}"
    digest = hashlib.sha256()
    size = 0
    with StagingReader() as staging, open(temporary, "wb") as stream:
        for photo in photos:
            framed = tfrecord.frame(_record(photo, staging.encoded(photo.staged)).to_example())
            stream.write(framed)
            digest.update(framed)
            size += len(framed)
    os.replace(temporary, path)
    return {"bytes": size, "sha256": digest.hexdigest(), "records": len(photos)}


def _record(photo: Photo, encoded: bytes) -> Record:
    return Record(
        image_id=photo.row.image_id,
        identity=photo.row.identity or "",
        encoded=encoded,
        channel_mean=photo.channel_mean,
        channel_square_mean=photo.channel_square_mean,
    )
