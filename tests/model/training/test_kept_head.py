import dataclasses
from pathlib import Path

import keras
import numpy as np
import pytest

from facemill.model.heads import registry
from facemill.model.recipes.recipe import Recipe
from facemill.model.training import kept_head
from facemill.model.training.fine_tuning import Start
from facemill.model.training.kept_head import Centers
from facemill.model.training.trainer import Data
from facemill.transforms.core.errors import ParameterError
from tests.model.training.one_step import ONE_STEP

SIZE = 8
OLD, NEW = ["Ada", "ada", "Cy"], ["Bo", "Cy", "Ada", "ada", "Di"]


def head_of(recipe: Recipe, identities: list[str], seed: int = 0):
    keras.utils.set_random_seed(seed)
    head = registry.build(recipe, len(identities))
    head.build((None, SIZE))
    return head


def loss_of(head, identities: list[str], name: str) -> float:
    """Of one embedding, as an image of a name, by a head that has few identities."""
    embedding = np.linspace(-1.0, 1.0, SIZE, dtype=np.float32)[np.newaxis]
    return float(head.losses(embedding, np.array([identities.index(name)]))[0])


@pytest.mark.parametrize(
    ("there", "here"),
    [
        (Recipe(head="arcface"), Recipe(head="arcface")),
        (Recipe(head="arcface"), Recipe(head="adaface")),
        (Recipe(head="softmax"), Recipe(head="softmax")),
        (Recipe(head="subcenter"), Recipe(head="subcenter", sample_identities=0.9)),
        (Recipe(head="cosface", sample_identities=0.5), Recipe(head="combined")),
    ],
)
def test_identities_keep_their_centers_by_name_and_new_ones_are_random(tmp_path, there, here):
    before, head = head_of(there, OLD), head_of(here, NEW, seed=1)
    random = head.identity_rows()
    path = str(tmp_path / kept_head.FILE)
    kept_head.write(path, before, OLD)
    kept_head.carry(head, NEW, kept_head.read(path))
    rows = head.identity_rows()
    for name in NEW:
        expected = before.identity_rows()[OLD.index(name)] if name in OLD else None
        at = NEW.index(name)
        np.testing.assert_array_equal(rows[at], random[at] if expected is None else expected)


@pytest.mark.parametrize("head", ["softmax", "arcface", "subcenter"])
def test_a_head_of_the_same_identities_has_the_same_loss_in_any_order(head):
    recipe = Recipe(head=head)
    before, after = head_of(recipe, OLD), head_of(recipe, OLD[::-1], seed=1)
    centers = Centers(kept_head._keys(OLD), before.identity_rows())
    kept_head.carry(after, OLD[::-1], centers)
    for name in OLD:
        assert loss_of(after, OLD[::-1], name) == pytest.approx(loss_of(before, OLD, name), 1e-6)


def test_a_head_that_does_not_fit_is_refused_with_the_reason(tmp_path):
    arcface = head_of(Recipe(head="arcface"), OLD)
    centers = Centers(kept_head._keys(OLD), arcface.identity_rows())
    for recipe, identities, said in (
        (Recipe(head="softmax"), NEW, "that head has 8 numbers for each identity, and this one 9"),
        (Recipe(head="triplet"), NEW, "the head of this run has no centers of identities"),
        (Recipe(head="arcface"), ["Ada", "Bo"], "2 of the 3 identities of that head are not in th"),
    ):
        with pytest.raises(ParameterError, match=f"^`init_head` must go with a model .*{said}"):
            kept_head.carry(head_of(recipe, identities), identities, centers)
    kept_head.write(str(tmp_path / kept_head.FILE), head_of(Recipe(head="triplet"), OLD), OLD)
    assert not list(tmp_path.iterdir())


def test_an_absent_or_damaged_file_is_refused(tmp_path):
    path = tmp_path / kept_head.FILE
    with pytest.raises(ParameterError, match=r"but there is no .*head\.npy"):
        kept_head.read(str(path))
    kept_head.write(str(path), head_of(Recipe(head="arcface"), OLD), OLD)
    content = path.read_bytes()
    for damaged in (content[:-3], content[:20], b"", b"x" * 200):
        path.write_bytes(damaged)
        with pytest.raises(ParameterError, match=r"head\.npy is damaged"):
            kept_head.read(str(path))
    np.save(path, np.zeros(3))
    with pytest.raises(ParameterError, match=r"head\.npy is damaged"):
        kept_head.read(str(path))


def test_a_trainer_begins_with_them_and_leaves_its_own(trainer, dataset, manifest, transform):
    before = trainer(ONE_STEP)
    before.write_head()
    (path,) = Path(before._folder).glob(kept_head.FILE)
    weights = before.embedder.network.get_weights()
    start = Start(weights, centers=kept_head.read(str(path)))
    data = Data(str(dataset), manifest, transform, None, start=start)
    after = trainer(dataclasses.replace(ONE_STEP, seed=7), data=data)
    np.testing.assert_array_equal(after._head.identity_rows(), before._head.identity_rows())
