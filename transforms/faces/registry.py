"""Loads detectors by name."""

from facemill.transforms.core.errors import UsageError
from facemill.transforms.faces.base import Detector
from facemill.transforms.faces.choices import DETECTORS


def load(name: str, threads: int = 1) -> Detector:
    """Loads a detector.

    Args:
        name: one of DETECTORS.
        threads: for the networks of blazeface, whose results do not depend on it. mtcnn uses
            TensorFlow's threads, which are set for the whole process.

    Raises:
        UsageError: no such detector, or the package with its weights is not installed.
    """
    # Each imports its own inference library, which takes a second or more.
    if name == "blazeface":
        from facemill.transforms.faces.blazeface import BlazeFace

        return BlazeFace(threads=threads)
    if name == "mtcnn":
        from facemill.transforms.faces.mtcnn import Mtcnn

        return Mtcnn()
    raise UsageError(
        f"The detector must be one of {', '.join(DETECTORS)}, got {name!r}; choose one of these."
    )
