"""What is known of one image while it is scored."""

from dataclasses import dataclass

from facemill.transforms.core.reasons import Reason
from facemill.transforms.faces.crop import Crop
from facemill.transforms.images.quality import measure


@dataclass(frozen=True, slots=True)
class Measures:
    """What the square and its face are like, by the names that a dataset's index has for it.

    Attributes:
        sharpness: see `transforms.images.quality.Quality`.
        brightness: see there.
        contrast: see there.
        faces: how many the detector found, or None without one.
        face_score: of the face that was chosen, in [0, 1], or None without a detector.
        face_box: of that face, x0, y0, x1, y1 in pixels of the upright picture, or None.
    """

    sharpness: float
    brightness: float
    contrast: float
    faces: int | None = None
    face_score: float | None = None
    face_box: tuple[float, float, float, float] | None = None

    @classmethod
    def of(cls, framed: Crop) -> "Measures":
        """The measures of a square that is not encoded yet."""
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
        source: where the bytes came from, relative to the input.
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
        source: where the bytes came from, relative to the input.
        identity: whose face it is, or None.
        measures: of the square that the model saw.
        embedding: float32 [D], little-endian bytes.
    """

    image_id: str
    source: str
    identity: str | None
    measures: Measures
    embedding: bytes


Result = Scored | Failure
