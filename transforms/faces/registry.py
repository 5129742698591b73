"""Detectors by name."""

from facemill.transforms.core.errors import UsageError
from facemill.transforms.faces.base import Detector
from facemill.transforms.faces.choices import DETECTORS


def load(name: str, threads: int = 1) -> Detector:
    """The detector of that name, ready to work.

    Args:
        name: one of DETECTORS.
        threads: of the network of blazeface, which finds the same with any number. mtcnn runs in
            TensorFlow, whose threads are the process's.

    Raises:
        UsageError: no such detector, or the package with its weights is not installed.
    """
    # Each brings its own engine, which takes a second or more to import.
    if name == "blazeface":
        from facemill.transforms.faces.blazeface import BlazeFace

        return BlazeFace(threads=threads)
    if name == "mtcnn":
        from facemill.transforms.faces.mtcnn import Mtcnn

        return Mtcnn()
    raise UsageError(
        f"The detector must be one of {', '.join(DETECTORS)}, got {name!r}; choose one of these."
    )
