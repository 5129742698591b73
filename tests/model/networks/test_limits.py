import pytest

from facemill.model.networks import limits
from facemill.model.recipes.choices import NETWORKS
from facemill.model.recipes.recipe import Recipe
from facemill.transforms.core.errors import ParameterError


@pytest.mark.parametrize(("name", "least"), [("plain", 8), ("mobilefacenet", 16), ("ir50", 32)])
def test_a_smaller_image_than_a_network_takes_is_refused_in_a_sentence(name, least):
    limits.check_image_size(name, least)
    with pytest.raises(ParameterError) as caught:
        limits.check_image_size(name, least - 1)
    text = str(caught.value)
    assert text.startswith(
        f"`network` must fit the images, but {name} takes {least} pixels or more"
    )
    assert text.endswith(f"they have {least - 1}; " + text.rsplit("; ", 1)[1])
    assert ("or choose plain" in text) == (name != "plain")


def test_every_network_takes_images_of_32_or_64_to_224_pixels():
    for name in NETWORKS:
        limits.check_image_size(name, 64 if name == "patches" else 32)
        limits.check_image_size(name, 224)


def test_options_that_a_network_lacks_are_refused():
    with pytest.raises(ParameterError, match="`dropout` must be given for one of plain, residual"):
        Recipe(network="mobilefacenet", dropout=0.2)
    with pytest.raises(ParameterError, match="`squeeze_excitation` must be given for one of ir18"):
        Recipe(network="residual", squeeze_excitation=True)
    # None and 0 ask for nothing that it lacks.
    assert Recipe(network="mobilefacenet", dropout=0.0).dropout == 0
    assert Recipe(network="ir18", dropout=0.2, squeeze_excitation=True).squeeze_excitation
