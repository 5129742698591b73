import json

import pytest

from facemill.model.export import trained_identities
from facemill.model.protocols.pair_lists import read_pairs
from facemill.pipelines.evaluate import cautions
from facemill.transforms.core.errors import UsageError
from facemill.transforms.dataset import artifact

MODEL_ID = "m" * 64


@pytest.fixture
def model(tmp_path):
    """A model that was trained on Ada and Grace Hopper."""
    path = tmp_path / "model"
    path.mkdir()
    (path / trained_identities.FILE).write_bytes(
        trained_identities.to_bytes(["Ada", "Grace Hopper"])
    )
    manifest = {
        "kind": "model",
        "schema_version": 1,
        "model_id": MODEL_ID,
        "files": [artifact.file_entry(str(path), trained_identities.FILE)],
    }
    (path / "manifest.json").write_text(json.dumps(manifest))
    return str(path)


def test_people_of_the_training_set_are_counted(model):
    found = cautions.about_training(["Zoe", "grace_hopper", "", "Ada"], model, MODEL_ID, False)
    assert found == {"identities": 3, "trained_on": 2, "shared": ["Ada", "grace_hopper"]}
    (text,) = cautions.of_training(found)
    assert text.startswith(
        "2 of 3 evaluated identities are in the model's training set (Ada, grace_hopper): on "
    )
    assert cautions.trained_text(found) == "2 of 3 identities"


def test_strangers_give_no_warning(model):
    found = cautions.about_training(["Zoe"], model, MODEL_ID, False)
    assert (found["trained_on"], cautions.of_training(found)) == (0, [])


def test_what_is_not_known_is_said(model, tmp_path):
    for given, reason in (
        ((["Ada"], None, MODEL_ID), "do not say where"),
        ((["Ada"], str(tmp_path / "gone"), MODEL_ID), "is not where it was"),
        ((["Ada"], model, "x" * 64), "is another one"),
        (([""], model, MODEL_ID), "name no identities"),
    ):
        found = cautions.about_training(*given, asked=False)
        assert found["trained_on"] is None
        assert reason in cautions.trained_text(found)
        assert cautions.of_training(found) == []
    with pytest.raises(UsageError, match="must be a complete model artifact"):
        cautions.about_training(["Ada"], str(tmp_path / "gone"), MODEL_ID, asked=True)


def test_pairs_that_give_the_threshold_and_are_judged_are_counted():
    pairs = read_pairs("a/1 a/2\na/1 b/1\n", "p")
    other = read_pairs("a/2 a/1\na/1 b/2\na/3 a/2\n", "q")
    (text,) = cautions.of_thresholds(pairs, other)
    assert text.startswith("1 of the 3 pairs that give the threshold are among")
    assert cautions.of_thresholds(pairs, read_pairs("a/1 a/3\na/1 b/2\n", "q")) == []


def test_equal_scores_are_reported():
    assert "All scores are equal (1.0000)" in cautions.of_scores(1.0, 1.0 + 1e-9)[0]
    assert cautions.of_scores(0.2, 0.21) == []
