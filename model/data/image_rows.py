"""Where each image of the train split lies, by identity: a few numbers for each image.

Made from the index, whose rows are read some thousands at a time: 20 bytes for each image stay in
memory (200 MB for ten million), and no name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from facemill.model.data.shard_files import entries_of
from facemill.transforms import storage
from facemill.transforms.core.errors import RunError
from facemill.transforms.dataset import artifact, tfrecord
from facemill.transforms.dataset.parquet_parts import part_batches

_COLUMNS = ("split", "identity", "shard", "offset")
_ROWS = 65_536


@dataclass(frozen=True)
class Source:
    """One dataset of a run.

    Attributes:
        path: its path or URL.
        manifest: its manifest.
        names: its identities in the train split.
        labels: int64 [len(names)], the label of each in the run.
    """

    path: str
    manifest: Mapping[str, Any]
    names: Sequence[str]
    labels: np.ndarray


class ImageRows:
    """The images of the train splits of some datasets, in the order of their labels.

    An image that ingest wrote several times counts once.

    Args:
        sources: the datasets.
        identities: number of labels.

    Attributes:
        sizes: int64 [identities], images of each label, 1 or more.

    Raises:
        RunError: an index does not fit its dataset.
    """

    def __init__(self, sources: Sequence[Source], identities: int) -> None:
        self._sources = sources
        # (number of the source, entry of the shard) by the number of the shard.
        self._shards: list[tuple[int, Mapping[str, Any]]] = []
        labels, shards, offsets = [], [], []
        for number, source in enumerate(sources):
            names = sorted(source.manifest["splits"]["train"]["shards"])
            base = len(self._shards)
            entries = entries_of(source.path, source.manifest, names)
            self._shards += [(number, entry) for entry in entries]
            for label, shard, offset in _rows_of(source, names):
                labels.append(label)
                shards.append(shard + np.int32(base))
                offsets.append(offset)
        label = np.concatenate(labels)
        shard = np.concatenate(shards)
        offset = np.concatenate(offsets)
        # The order of the index's parts does not count.
        order = np.lexsort((offset, shard, label))
        self._shard, self._offset = shard[order], offset[order]
        self.sizes = np.bincount(label, minlength=identities).astype(np.int64)
        if len(self.sizes) != identities or not self.sizes.all():
            raise RunError(
                "Every identity of the train split must have an image in the index, but "
                f"{int((self.sizes == 0).sum())} have none; ingest again."
            )

    def source_of(self, rows: np.ndarray) -> np.ndarray:
        """int64 [N]: numbers of the datasets of rows."""
        numbers = np.array([number for number, _ in self._shards], np.int64)
        return numbers[self._shard[rows]]

    def read(self, rows: np.ndarray) -> list[bytes]:
        """The records of rows, in their order; shards of a store come through the cache.

        Raises:
            RunError: a shard is missing or damaged.
            OSError: it cannot be read.
        """
        found = [b""] * len(rows)
        shards = self._shard[rows]
        for shard in np.unique(shards).tolist():
            number, entry = self._shards[shard]
            path = storage.local_file(self._sources[number].path, entry)
            with storage.open_file(path) as stream:
                for place in np.flatnonzero(shards == shard).tolist():
                    found[place] = tfrecord.read_at(stream, int(self._offset[rows[place]]))
        return found


def _rows_of(
    source: Source, shards: Sequence[str]
) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """(label int32, shard int32, offset int64) of each image of the train split, in pieces."""
    names, labels = pa.array(source.names, pa.string()), source.labels.astype(np.int32)
    found = []
    for entry in artifact.entries_under(source.manifest, "index/"):
        path = artifact.resolve(source.path, entry["path"])
        for batch in part_batches(path, _COLUMNS, _ROWS):
            if "offset" not in batch.schema.names:
                raise RunError(
                    f"{path} must have the column offset, but has none; ingest again with this "
                    "version."
                )
            rows = batch.filter(
                pc.and_(pc.equal(batch["split"], "train"), pc.is_valid(batch["offset"]))
            )
            label = pc.index_in(rows["identity"], names)
            shard = pc.index_in(rows["shard"], pa.array(shards, pa.string()))
            if label.null_count or shard.null_count:
                raise RunError(
                    f"{path} must name identities and shards of the train split of its dataset, "
                    "but names others; ingest again."
                )
            found.append((labels[label.to_numpy()], shard.to_numpy(), rows["offset"].to_numpy()))
    return found
