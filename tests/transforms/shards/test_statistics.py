from collections import Counter

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from facemill.transforms.core.errors import RunError
from facemill.transforms.dataset.image_metadata import METADATA
from facemill.transforms.dataset.records import CHANNEL_MEAN, CHANNEL_SQUARE_MEAN, IDENTITY, QUALITY
from facemill.transforms.shards import statistics
from tests.artifacts import contents

NAMES = ["ada", "ada", "bob", "ada", "eve", "bob", "Zoë", "ada", "fay"]


def metadata() -> pa.Table:
    rng = np.random.default_rng(4)
    rows = []
    for number, name in enumerate(NAMES):
        mean = rng.uniform(60, 200, 3)
        rows.append(
            {
                "image_id": f"{name}/{number}",
                "identity": name,
                "reason": "",
                "channel_mean": mean.tolist(),
                "channel_square_mean": (mean**2 + rng.uniform(100, 3000, 3)).tolist(),
                "sharpness": rng.uniform(5, 9000),
                "brightness": rng.uniform(20, 230),
                "contrast": rng.uniform(3, 90),
            }
        )
    return pa.Table.from_pylist(rows, METADATA)


def analyze(tables: list[pa.Table], folder) -> str:
    output = str(folder / "transform")
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        batches = (
            pipeline
            | beam.Create(tables)
            | beam.FlatMap(statistics.batches).with_output_types(statistics.BATCH)
        )
        _ = batches | statistics.Analyze(output, str(folder / "temp"))
    return output


@pytest.fixture(scope="module")
def transform(tmp_path_factory) -> str:
    return analyze([metadata()], tmp_path_factory.mktemp("whole"))


@pytest.mark.slow
def test_the_vocabulary_has_every_identity_the_most_frequent_first(transform):
    found = tft.TFTransformOutput(transform).vocabulary_by_name(statistics.VOCABULARY)
    names = [name.decode() for name in found]
    counts = Counter(NAMES)
    assert sorted(names) == sorted(counts)
    assert [counts[name] for name in names] == sorted(counts.values(), reverse=True)


@pytest.mark.slow
def test_a_vocabulary_that_lacks_an_identity_fails_the_run(transform):
    identities = len(set(NAMES))
    statistics.check_vocabulary(transform, identities)
    with pytest.raises(
        RunError, match=f"must have the {identities + 1} identities .* has {identities}"
    ):
        statistics.check_vocabulary(transform, identities + 1)


@pytest.mark.slow
def test_moments_equal_those_of_numpy(transform):
    found = statistics.moments(transform)
    table = metadata()
    mean = np.array(table["channel_mean"].to_pylist()).mean(axis=0)
    square_mean = np.array(table["channel_square_mean"].to_pylist()).mean(axis=0)
    np.testing.assert_allclose(found.pixel_mean, mean, rtol=1e-6)
    np.testing.assert_allclose(found.pixel_std, np.sqrt(square_mean - mean**2), rtol=1e-5)
    for name in QUALITY:
        values = table[name].to_numpy()
        expected = {
            "mean": values.mean(dtype=float),
            "std": values.std(dtype=float),
            "min": values.min(),
            "max": values.max(),
        }
        assert found.quality[name] == pytest.approx(expected, rel=1e-4)


@pytest.mark.slow
def test_statistics_do_not_depend_on_the_order_and_size_of_batches(transform, tmp_path):
    whole = metadata()
    shuffled = whole.take(np.random.default_rng(1).permutation(len(whole)))
    again = analyze([shuffled.slice(5), shuffled.slice(0, 1), shuffled.slice(1, 4)], tmp_path)
    assert statistics.moments(again) == statistics.moments(transform)
    names = statistics.stable_files(transform)
    assert f"transform_fn/assets/{statistics.VOCABULARY}" in names
    assert statistics.stable_files(again) == names
    # Together they are all files, each once.
    both = [*names, *statistics.other_files(transform)]
    assert "transform_fn/saved_model.pb" in both
    assert sorted(both) == sorted(contents(tmp_path / transform))
    one, other = (contents(tmp_path / path) for path in (transform, again))
    assert {name: one[name] for name in names} == {name: other[name] for name in names}


@pytest.mark.slow
def test_labels_are_vocabulary_indices_and_minus_one_for_other_identities(transform):
    output = tft.TFTransformOutput(transform)
    order = [name.decode() for name in output.vocabulary_by_name(statistics.VOCABULARY)]
    rows = {
        IDENTITY: tf.constant(["eve", "nobody here", "ada"]),
        CHANNEL_MEAN: tf.zeros([3, 3]),
        CHANNEL_SQUARE_MEAN: tf.zeros([3, 3]),
        **{name: tf.zeros([3]) for name in QUALITY},
    }
    labels = output.transform_raw_features(rows)[statistics.LABEL].numpy().tolist()
    assert labels == [order.index("eve"), -1, order.index("ada")]


@pytest.mark.slow
def test_a_split_without_images_has_the_same_transform_in_every_run(tmp_path):
    folders = []
    for name in "ab":
        (tmp_path / name).mkdir()
        folders.append(analyze([], tmp_path / name))
        statistics.write_placeholder_vocabulary(folders[-1])
    one, other = (contents(tmp_path / folder) for folder in folders)
    names = statistics.stable_files(folders[0])
    assert f"transform_fn/assets/{statistics.VOCABULARY}" in names
    assert {name: one[name] for name in names} == {name: other[name] for name in names}
    # It can still be loaded.
    assert statistics.moments(folders[0]).pixel_std == (1.0, 1.0, 1.0)


def test_batches_have_all_rows_once_and_are_of_bounded_size(monkeypatch):
    monkeypatch.setattr(statistics, "_BATCH", 4)
    found = list(statistics.batches(metadata()))
    assert [len(batch) for batch in found] == [4, 4, 1]
    names = [value[0].decode() for batch in found for value in batch.column(IDENTITY).to_pylist()]
    assert names == NAMES
