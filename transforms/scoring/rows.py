"""The rows of scoring: a scored image, its measures, or a failure."""

from dataclasses import dataclass

from facemill.transforms.core.reasons import Reason
from facemill.transforms.faces.crop import Crop
from facemill.transforms.images.quality import measure


@dataclass(frozen=True, slots=True)
class Measures:
    """Measures of a crop and its face, named like the columns of a dataset's index.

    Attributes:
        sharpness: see `transforms.images.quality.Quality`.
        brightness: see `Quality`.
        contrast: see `Quality`.
        faces: the number of faces that the detector found, or None without a detector.
        face_score: the score of the chosen face, in [0, 1], or None without a detector.
        face_box: the box of that face, x0, y0, x1, y1 in pixels of the upright image, or None.
    """

    sharpness: float
    brightness: float
    contrast: float
    faces: int | None = None
    face_score: float | None = None
    face_box: tuple[float, float, float, float] | None = None

    @classmethod
    def of(cls, framed: Crop) -> "Measures":
        """The measures of a crop before it is encoded."""
        quality = measure(framed.pixels)
        return cls(
            quality.sharpness,
            quality.brightness,
            quality.contrast,
            framed.faces,
            framed.score,
            framed.box,
        )


@dataclass(frozen=True, slots=True)
class Failure:
    """One row of `errors/`.

    Attributes:
        image_id: stable key.
        source: path of the file that holds the bytes, relative to the input.
        reason: why there is no embedding.
    """

    image_id: str
    source: str
    reason: Reason


@dataclass(frozen=True, slots=True)
class Scored:
    """One image with an embedding.

    Attributes:
        image_id: stable key.
        source: path of the file that holds the bytes, relative to the input.
        identity: whose face it is, or None.
        measures: the measures of the crop that the model takes.
        embedding: float32 [D], little-endian bytes.
    """

    image_id: str
    source: str
    identity: str | None
    measures: Measures
    embedding: bytes


Result = Scored | Failure
