import pytest

from facemill.model.recipes.recipe import Recipe
from facemill.pipelines.train.cautions import cautions, repeats, with_flags


def test_usual_settings_need_no_caution():
    assert cautions(Recipe(), 1000, 50) == []
    assert cautions(Recipe(head="cosface", margin=0.35), 1000, 0) == []


@pytest.mark.parametrize(
    ("steps", "warmup", "said"), [(50, 50, 1), (50, 51, 1), (50, 49, 0), (1, 9, 0)]
)
def test_a_warm_up_as_long_as_the_run_is_reported(steps, warmup, said):
    found = cautions(Recipe(), steps, warmup)
    assert len(found) == said
    assert all(f"{warmup} steps, and the run has {steps}" in text for text in found)


def test_fields_in_back_quotes_become_flags():
    found = with_flags("take a `network`, or lower `learning_rate`")
    assert found == "take a --backbone, or lower --learning-rate"


@pytest.mark.parametrize(
    ("head", "usual"), [("cosface", 0.35), ("adaface", 0.4), ("combined", 0.3), ("triplet", 0.2)]
)
def test_the_margin_of_arcface_is_reported_for_other_heads(head, usual):
    (text,) = cautions(Recipe(head=head, margin=0.5, images_per_identity=4), 1000, 50)
    assert f"give --margin {usual}." in text
    assert cautions(Recipe(head=head, images_per_identity=4), 1000, 50) == []


@pytest.mark.parametrize("head", ["arcface", "subcenter", "softmax"])
def test_the_margin_of_arcface_is_usual_for_its_like(head):
    assert cautions(Recipe(head=head, margin=0.5), 1000, 50) == []


@pytest.mark.parametrize("head", ["triplet", "siamese"])
def test_heads_that_compare_images_of_one_identity_want_balanced_batches(head):
    (text,) = cautions(Recipe(head=head), 1000, 50)
    assert "give --images-per-identity 4." in text


@pytest.mark.parametrize(("images", "said"), [(0, 0), (4, 0), (15, 0), (16, 1), (1024, 1)])
def test_more_images_of_an_identity_than_it_has_are_reported(images, said):
    found = repeats(Recipe(batch_size=1024, images_per_identity=images), 48, 6)
    assert len(found) == said
    assert all("the 8 images that an identity has on average" in text for text in found)
    assert all(text.endswith("give --images-per-identity 8.") for text in found)
