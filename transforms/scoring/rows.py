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
        face_landmarks: of that face, x and y of each point of `faces.base.Face.landmarks` in turn,
            in pixels of the upright image, or None.
    """

    sharpness: float
    brightness: float
    contrast: float
    faces: int | None = None
    face_score: float | None = None
    face_box: tuple[float, float, float, float] | None = None
    face_landmarks: tuple[float, ...] | None = None

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
            framed.landmarks,
        )


@dataclass(frozen=True, slots=True)
class Failure:
    """One row of `errors/`.

    Attributes:
        image_id: stable key.
        source: path of the file that holds the bytes, relative to the input.
        reason: why there is no embedding.
        sha256: of the bytes of the photo, 64 hexadecimal digits; None if they cannot be read.
    """

    image_id: str
    source: str
    reason: Reason
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Scored:
    """One image with an embedding.

    Attributes:
        image_id: stable key; of one face among all of a photo, see `face_id`.
        source: path of the file that holds the bytes, relative to the input.
        identity: whose face it is, or None.
        measures: the measures of the crop that the model takes.
        embedding: float32 [D], little-endian bytes.
        sha256: of the bytes of the photo, 64 hexadecimal digits; None if they are not known.
    """

    image_id: str
    source: str
    identity: str | None
    measures: Measures
    embedding: bytes
    sha256: str | None = None


Result = Scored | Failure

_FACE = "#"


def face_id(image_id: str, number: int) -> str:
    """The image_id of one face where all faces of a photo have rows.

    Args:
        image_id: of the photo.
        number: of the face, from 0 on, by decreasing weight.
    """
    return f"{image_id}{_FACE}{number}"


def photo_id(image_id: str) -> str:
    """The image_id of the photo of a face; the inverse of `face_id`."""
    return image_id.rpartition(_FACE)[0]
