"""What every runtime gives: a description of a file, and calls of its network."""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from facemill.transforms.core.errors import MissingPackageError
from facemill.transforms.core.reasons import Reason, ReasonCode
from facemill.transforms.scoring.refused import ImageRefusedError


@dataclass(frozen=True)
class Tensor:
    """An input or output of a network, as its file describes it.

    Attributes:
        name: in the file.
        shape: sizes; None where one is free. None in place of the tuple if the rank is free too.
        dtype: name of the type, as numpy calls it.
    """

    name: str
    shape: tuple[int | None, ...] | None
    dtype: str


@dataclass(frozen=True)
class Description:
    """What a file tells of its network.

    Attributes:
        inputs: all of them.
        outputs: all of them.
        signature: of a SavedModel, else None.
        standardizes: whether the network itself subtracts a mean and scales before its first layer.
    """

    inputs: Sequence[Tensor]
    outputs: Sequence[Tensor]
    signature: str | None = None
    standardizes: bool = False


class Runtime(Protocol):
    """A network that is loaded; one thread at a time may call it."""

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """The output of the network.

        Args:
            batch: the input, as the file wants it, always with the same number of images.

        Returns:
            An array of any shape, of floats.

        Raises:
            ImageRefusedError: an image in the batch makes the network fail.
            RunError: the machine does.
        """


def need(package: str, module: str, extra: str) -> None:
    """Checks that the package of a runtime is installed, without importing it.

    Raises:
        MissingPackageError: it is not.
    """
    if not is_installed(module):
        raise MissingPackageError(
            "Running this model needs",
            package,
            f"it with: pip install 'facemill[{extra}]'",
        )


def is_installed(module: str) -> bool:
    """Whether a package can be imported."""
    return importlib.util.find_spec(module) is not None


def refused(error: BaseException | str) -> ImageRefusedError:
    """The error of a call in which an image makes the network fail, of the runtime's own."""
    return ImageRefusedError(
        Reason(ReasonCode.MODEL_FAILED, f"the model cannot read it: {first_line(error)}")
    )


def first_line(error: BaseException | str) -> str:
    """The message of an error in one line, without its final stop."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[0][:200].rstrip(".")
