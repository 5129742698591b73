"""What each network can be asked for; checked before Keras is imported, so light."""

from facemill.model.recipes.choices import (
    NETWORKS,
    PARTS,
    WITH_DROPOUT,
    WITH_SQUEEZE_EXCITATION,
)
from facemill.transforms.core.errors import ParameterError

# Of all but those named: there the last map is 2 x 2.
_LEAST_SIDE = 32
_LEAST_SIDES = {"plain": 8, "mobilefacenet": 16, "patches": 64}


def check_image_size(name: str, image_size: int) -> None:
    """Checks the size of the images.

    Raises:
        ParameterError: they are too small for the network.
    """
    least = _LEAST_SIDES.get(name, _LEAST_SIDE)
    if image_size < least:
        others = [one for one in NETWORKS if _LEAST_SIDES.get(one, _LEAST_SIDE) <= image_size]
        raise ParameterError(
            "network",
            name,
            must="fit the images",
            but=f"{name} takes {least} pixels or more and they have {image_size}",
            do=f"ingest larger images{' or choose ' + others[0] if others else ''}",
        )


def check_options(name: str, dropout: float | None, squeeze_excitation: bool) -> None:
    """Checks the options that only some networks have.

    Raises:
        ParameterError: the network lacks dropout or squeeze and excitation, and it is asked for.
    """
    for parameter, value, networks in (
        ("dropout", dropout, WITH_DROPOUT),
        ("squeeze_excitation", squeeze_excitation, WITH_SQUEEZE_EXCITATION),
    ):
        if value and name not in networks:
            raise ParameterError(
                parameter,
                value,
                must=f"be given for one of {', '.join(networks)} alone",
                but=f"the network is {name}",
                do="leave it out or choose another network",
            )


def check_embedding_size(name: str, embedding_size: int) -> None:
    """Checks the length of embeddings.

    Raises:
        ParameterError: the network's parts cannot share it.
    """
    parts = PARTS.get(name, 1)
    if embedding_size % parts:
        raise ParameterError(
            "embedding_size",
            embedding_size,
            must=f"be a multiple of {parts} for the network {name}",
            do="give such a length",
        )
