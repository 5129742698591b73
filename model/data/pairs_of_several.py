"""Validation pairs of several datasets: of all val images whose identity is trained in none."""

import itertools

import numpy as np
import pyarrow as pa

from facemill.model.data.aliases import in_dataset
from facemill.model.data.collection import Collection
from facemill.model.data.validation_pairs import Pairs, images_of, pairs_of, read_images


def draw(collection: Collection, count: int, seed: int) -> tuple[Pairs | None, int]:
    """Pairs of the val splits, drawn as those of one dataset; a pair may span two datasets.

    Args:
        collection: the datasets.
        count: largest number of pairs of each kind.
        seed: of the draw.

    Returns:
        (the pairs, or None where no two identities that are not trained have two images each;
        how many val identities are left out, since they are in the train split of a dataset). An
        image is named by its dataset's position and its name there.

    Raises:
        RunError: the shards do not hold what an index says.
    """
    if count == 0:
        return None, 0
    trained = set(collection.identities)
    left_out: set[str] = set()
    ids: list[str] = []
    names: list[str] = []
    tables, sizes = [], [0]
    for number, part in enumerate(collection.parts):
        images = images_of(part.path, part.manifest, ("val",))
        own = [collection.names.name(number, one) for one in images["identity"].to_pylist()]
        left_out |= trained.intersection(own)
        kept = [row for row, name in enumerate(own) if name not in trained]
        images = images.take(pa.array(kept, pa.int64()))
        ids += [in_dataset(number, one) for one in images["image_id"].to_pylist()]
        names += [own[row] for row in kept]
        tables.append(images)
        sizes.append(len(images))
    starts = list(itertools.accumulate(sizes))

    def read(rows: list[int]) -> list[bytes]:
        wanted = np.array(rows, np.int64)
        found = [b""] * len(rows)
        for part, images, start, end in zip(
            collection.parts, tables, starts, starts[1:], strict=False
        ):
            places = np.flatnonzero((wanted >= start) & (wanted < end)).tolist()
            if places:
                own = images.take([rows[place] - start for place in places])
                for place, encoded in zip(
                    places, read_images(part.path, part.manifest, own), strict=True
                ):
                    found[place] = encoded
        return found

    return pairs_of(ids, names, read, count, seed), len(left_out)
