"""`--teacher` and `--init` from the command line to the artifact."""

import dataclasses
import json

import numpy as np
import pytest

from facemill.model.recipes.recipe import Recipe
from facemill.model.training import fine_tuning
from facemill.pipelines.train.teacher import Teacher, check_region
from facemill.transforms.core.errors import ParameterError, RunError, UsageError
from tests.commands import facemill
from tests.model import tiny

FLAGS = (
    "--backbone", "plain", "--embedding-size", 16, "--batch-size", 10, "--steps", 3,
    "--learning-rate", 0.001, "--seed", 5, "--no-flip", "--crop", 0, "--color-jitter", 0,
)  # fmt: skip


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return tiny.dataset(tmp_path_factory)


@pytest.fixture(scope="module")
def model(dataset, tmp_path_factory):
    output = tmp_path_factory.mktemp("train") / "model"
    facemill("train", "--dataset", dataset, "--output", output, *FLAGS, "--head", "softmax")
    return output


def manifest_of(path) -> dict:
    return json.loads((path / "manifest.json").read_bytes())


def weights_of(path) -> list[np.ndarray]:
    return fine_tuning.read_weights(str(path / "saved_model"), manifest_of(path))


@pytest.mark.slow
def test_a_model_that_begins_as_its_teacher_agrees_with_it_and_frozen_layers_stay(
    model, dataset, tmp_path
):
    output = tmp_path / "student"
    begun = ("--init", model, "--freeze", "conv2d_[12]", "--teacher", model, "--head", "cosine")
    done = facemill("train", "--dataset", dataset, "--output", output, *FLAGS, *begun)
    found, model_id = manifest_of(output), manifest_of(model)["model_id"]
    assert found["teacher"] == found["init"] == {"model_id": model_id}
    assert found["options"]["teacher"] == found["options"]["init"] == model_id
    assert found["options"]["freeze"] == ["conv2d_[12]"]
    # Its first loss is 0 but for rounding, since it sees each image as the teacher does.
    first = (output / "history.csv").read_text().splitlines()[1]
    assert float(first.split(",")[1]) < 1e-4, first
    before, after = weights_of(model), weights_of(output)
    same = [bool((one == other).all()) for one, other in zip(before, after, strict=True)]
    assert same[:4] == [True] * 4
    assert not any(same[4:6])
    assert (output / "checkpoints" / "teacher_targets.npy").exists()
    assert "images embedded by the teacher" not in done.stdout


@pytest.mark.slow
def test_a_model_of_another_network_is_refused_with_what_differs(model):
    manifest = manifest_of(model)
    recipe = Recipe(**manifest["recipe"] | {"milestones": ()})
    fine_tuning.check("m", manifest, recipe, tiny.SIZE)
    other = dataclasses.replace(recipe, network="residual", embedding_size=32)
    with pytest.raises(ParameterError) as caught:
        fine_tuning.check("m", manifest, other, 64)
    assert str(caught.value) == (
        "`init` must have the network of this run, but it differs (network: there plain, here "
        "residual; embedding_size: there 16, here 32; side of the images in pixels: there 32, here "
        "64); train with its settings, or give another model."
    )
    imported = {key: value for key, value in manifest.items() if key != "recipe"}
    with pytest.raises(ParameterError, match="`init` must be a model that facemill trained, but"):
        fine_tuning.check("m", imported, recipe, tiny.SIZE)
    lies = manifest | {"recipe": manifest["recipe"] | {"embedding_size": 17}}
    with pytest.raises(RunError, match="must hold the weights of a plain, but does not"):
        fine_tuning.read_weights(str(model / "saved_model"), lies)


@pytest.mark.slow
def test_a_teacher_that_sees_another_region_is_refused_with_what_differs(model, dataset):
    source = tiny.manifest(dataset)
    assert Teacher(str(model), source).model_id == manifest_of(model)["model_id"]
    here = {"image_size": 64, "align": "detect", "detector": "blazeface", "crop_fraction": 1.0}
    check_region("t", here | {"image_size": 112}, here)
    with pytest.raises(ParameterError) as caught:
        check_region("t", {"image_size": 112, "align": "center", "crop_fraction": 1.0}, here)
    assert str(caught.value) == (
        "`teacher` must see the region of each photo that the dataset shows, but its preprocessing "
        "differs (align: teacher 'center', dataset 'detect'; detector: teacher None, dataset "
        "'blazeface'); ingest as the teacher crops, or import the teacher with these."
    )
    with pytest.raises(UsageError, match="must be a complete model artifact"):
        Teacher(str(dataset / "train"), source)
