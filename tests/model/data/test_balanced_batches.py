import collections
import dataclasses
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from facemill.model.data import tfdata
from facemill.model.data.image_rows import ImageRows, Source
from facemill.model.recipes.recipe import Recipe
from facemill.transforms.core.errors import RunError
from tests.model import tiny

RECIPE = Recipe(
    batch_size=12, images_per_identity=4, flip=False, crop=0.0, color_jitter=0.02, seed=4
)


def read(path, transform, recipe=RECIPE, epoch=0, first=0, **part):
    found = tfdata.batches(str(path), tiny.manifest(path), transform, recipe, epoch, first, **part)
    return [tuple(one.numpy() for one in batch) for batch in found]


def flat(batches):
    return [np.concatenate(parts) for parts in zip(*batches, strict=True)]


@pytest.fixture(scope="module")
def batches(dataset, transform):
    return read(dataset, transform)


def test_each_batch_has_k_images_of_each_of_p_identities(dataset, batches):
    assert len(batches) == tfdata.steps_per_epoch(tiny.manifest(dataset), 12)
    for pixels, labels, _ in batches:
        assert collections.Counter(collections.Counter(labels.tolist()).values()) == {4: 3}
        # Other images, or other copies of one.
        assert len({one.tobytes() for one in pixels}) == 12


def test_the_images_are_those_of_their_labels(dataset, transform):
    truth = {
        tfdata.decode(encoded, tiny.SIZE).numpy().tobytes(): identity
        for encoded, identity in tiny.identity_of(dataset, "train").items()
    }
    for pixels, labels, _ in read(dataset, transform, dataclasses.replace(RECIPE, color_jitter=0)):
        names = [truth[one.astype(np.uint8).tobytes()] for one in pixels]
        assert names == [transform.identities[label] for label in labels]


@pytest.mark.moderate
def test_an_epoch_can_be_entered_at_any_batch_and_is_divided_among_workers(
    dataset, transform, batches
):
    later = read(dataset, transform, first=2)
    np.testing.assert_array_equal(flat(later)[0], flat(batches[2:])[0])
    parts = [read(dataset, transform, worker=worker, workers=3) for worker in range(3)]
    for step, batch in enumerate(batches):
        joined = flat([part[step] for part in parts])
        for one, other in zip(joined, batch, strict=True):
            np.testing.assert_array_equal(one, other)


def test_an_index_of_another_dataset_is_refused(dataset, transform, tmp_path):
    copy = shutil.copytree(dataset, tmp_path / "copy")
    manifest = tiny.manifest(copy)
    (entry,) = (one for one in manifest["files"] if one["path"].startswith("index/"))
    rows = pq.read_table(copy / entry["path"])
    places = np.arange(len(transform.identities))
    source = Source(str(copy), manifest, transform.identities, places)
    assert ImageRows([source], len(places)).sizes.sum() == manifest["splits"]["train"]["records"]
    with pytest.raises(RunError, match="must name identities and shards of the train split"):
        ImageRows([dataclasses.replace(source, names=["nobody"])], 1)
    with pytest.raises(RunError, match="but 1 have none"):
        ImageRows([source], len(places) + 1)
    moved = pa.array([None if one is None else one + 1 for one in rows["offset"].to_pylist()])
    at = rows.schema.get_field_index("offset")
    pq.write_table(rows.set_column(at, "offset", moved.cast(pa.int64())), copy / entry["path"])
    found = ImageRows([source], len(places))
    with pytest.raises(RunError, match="must be a whole TFRecord file"):
        found.read(np.array([0]))
