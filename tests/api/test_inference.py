import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest

import facemill
from facemill.pipelines import cli
from facemill.transforms.images.decode import decode

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def scored(tiny_photos, tiny_model, tmp_path_factory) -> dict[str, np.ndarray]:
    """What `facemill score` writes of the tiny photos, by image_id."""
    output = tmp_path_factory.mktemp("api") / "embeddings"
    flags = ["--input", str(tiny_photos), "--model", str(tiny_model), "--output", str(output)]
    assert cli.main(["score", *flags, "--workers", "1"]) == 0
    table = pq.read_table(sorted(output.glob("part-*.parquet")))
    return {
        key: np.array(vector, np.float32)
        for key, vector in zip(
            table["image_id"].to_pylist(), table["embedding"].to_pylist(), strict=True
        )
    }


@pytest.fixture(scope="module")
def model(tiny_model) -> facemill.Model:
    return facemill.Model.load(tiny_model)


@pytest.fixture(scope="module")
def files(tiny_photos, scored) -> list[bytes]:
    return [(tiny_photos / key).read_bytes() for key in scored]


def test_attributes_are_those_of_the_manifest(model, tiny_model):
    manifest = facemill.inference.artifact.read_manifest(str(tiny_model), "model")
    assert model.model_id == manifest["model_id"]
    assert (model.embedding_size, model.image_size) == (16, 32)
    assert manifest["model_id"][:12] in repr(model)


def test_embeddings_of_files_equal_those_that_score_writes(model, files, scored):
    vectors = model(files)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(scored), model.embedding_size)
    np.testing.assert_allclose(vectors, np.stack(list(scored.values())), rtol=0, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_embeddings_of_pixels_equal_those_of_their_files(model, files):
    pixels = [decode(one).pixels for one in files]
    np.testing.assert_allclose(model(np.stack(pixels)), model(files), rtol=0, atol=1e-6)


def test_images_of_different_sizes_are_cropped_like_files(model, files):
    pixels = [decode(one).pixels for one in files[:2]]
    pixels[1] = pixels[1][4:]
    vectors = model(pixels)
    np.testing.assert_allclose(vectors[0], model(files[:1])[0], rtol=0, atol=1e-6)
    assert np.abs(vectors[1] - model(files[1:2])[0]).max() > 1e-3


def test_embeddings_of_dataset_crops_equal_those_of_their_photos(model, tiny_dataset, scored):
    (batch,) = facemill.load_dataset(tiny_dataset, "val", 64).as_numpy_iterator()
    expected = np.stack([scored[key.decode()] for key in batch["image_id"]])
    vectors = model(batch["image"], framed=True)
    np.testing.assert_allclose(vectors, expected, rtol=0, atol=1e-6)


def test_no_images_give_an_empty_array(model):
    assert model([]).shape == (0, model.embedding_size)


def test_embed_each_gives_a_reason_for_a_file_that_is_no_image(model, files):
    first, bad, last = model.embed_each([files[0], b"page", files[1]])
    assert bad == "not an image of a known format"
    np.testing.assert_array_equal(np.stack([first, last]), model(files[:2]))
    with pytest.raises(facemill.RunError, match=r"image 1 has none \(not an image"):
        model([files[0], b"page"])


@pytest.mark.parametrize(
    "images",
    [np.zeros((2, 8, 8, 3)), np.zeros((2, 8, 8), np.uint8), ["photo.jpg"], [b"", "photo.jpg"]],
)
def test_images_of_other_shapes_or_types_are_a_usage_error(model, images):
    with pytest.raises(facemill.UsageError, match=r"^Each image must be uint8 .* convert it\.$"):
        model(images)


def test_framed_crops_of_another_size_are_a_usage_error(model):
    with pytest.raises(facemill.UsageError, match=r"uint8 \[N, 32, 32, 3\], got uint8 \[1, 8,"):
        model(np.zeros((1, 8, 8, 3), np.uint8), framed=True)


@pytest.mark.parametrize(
    ("runtime", "file"),
    [("litert", "embedder.tflite"), ("tensorflow", "saved_model/saved_model.pb")],
)
def test_a_damaged_model_is_not_loaded(tiny_model, tmp_path, runtime, file):
    copy = shutil.copytree(tiny_model, tmp_path / "model")
    with (copy / file).open("ab") as stream:
        stream.write(b"\0")
    with pytest.raises(facemill.RunError, match="SHA-256 of its manifest"):
        facemill.Model.load(copy, runtime=runtime)


def test_both_runtimes_of_a_model_give_the_same_embeddings(model, tiny_model, files):
    other = facemill.Model.load(tiny_model, runtime="tensorflow")
    assert (model.runtime, other.runtime) == ("litert", "tensorflow")
    np.testing.assert_allclose(model(files[:5]), other(files[:5]), rtol=0, atol=1e-5)


def test_a_path_without_a_model_or_a_bad_batch_size_is_a_usage_error(tiny_dataset, tmp_path):
    with pytest.raises(facemill.UsageError, match="must be a model artifact, got kind 'dataset'"):
        facemill.Model.load(tiny_dataset)
    with pytest.raises(facemill.UsageError, match="must be a complete model artifact"):
        facemill.Model.load(tmp_path)
    with pytest.raises(facemill.UsageError, match="must be 1 or more"):
        facemill.Model.load(tmp_path, batch_size=0)
