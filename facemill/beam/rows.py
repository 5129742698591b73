"""The rows that go into and come out of the transforms."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from apache_beam import coders

from facemill.transforms.core.errors import UsageError
from facemill.transforms.core.reasons import Reason, ReasonCode
from facemill.transforms.sources.base import Ref
from facemill.transforms.sources.labels import is_text

# Bytes of images that a step holds until it works on them together.
MAX_WAITING_BYTES = 64 << 20


class Image(NamedTuple):
    """One photo.

    Attributes:
        image_id: its key, unique in the collection.
        data: the bytes of its file; None where it cannot be read.
        identity: whose face it is said to show, or None.
        reason: why it cannot be read, or None.
        landmarks: x and y of left eye, right eye, nose, left and right corner of the mouth, in
            pixels of the upright photo, where the source knows them; or None.
        reason_code: the reason for programs, a value of `ReasonCode`, or None.
    """

    image_id: str
    data: bytes | None
    identity: str | None = None
    reason: str | None = None
    landmarks: Sequence[float] | None = None
    reason_code: str | None = None


class Exclusion(NamedTuple):
    """An image that should not stand in a collection as it is.

    Attributes:
        key: of the image.
        outcome: `duplicate` of an image that is kept, `conflict` with the same picture under
            another identity, or `rejected` because it cannot be read.
        duplicate_of: key of the other image; None of a rejected one.
        reason: a phrase, such as "near duplicate".
        reason_code: the same for programs, a value of `ReasonCode`.
    """

    key: str
    outcome: str
    duplicate_of: str | None
    reason: str
    reason_code: str


class Embedding(NamedTuple):
    """What a model makes of one image.

    Attributes:
        key: of the image.
        vector: float32 [D] of length 1; None where there is none.
        reason: why there is none, or None.
        reason_code: the same for programs, a value of `ReasonCode`, or None.
    """

    key: str
    vector: np.ndarray | None
    reason: str | None
    reason_code: str | None


# Rows that Beam SQL, `beam.Select` and other languages can read too.
coders.registry.register_coder(Image, coders.RowCoder)
coders.registry.register_coder(Exclusion, coders.RowCoder)


def as_image(element: Any) -> Image:
    """An element of anybody's pipeline as a row.

    Args:
        element: an `Image`, or a pair of key and bytes.

    Raises:
        UsageError: it is neither.
    """
    if isinstance(element, Image):
        image = element
    elif isinstance(element, tuple) and len(element) == 2:
        image = Image(*element)
    else:
        image = Image(str(type(element)), None, None, None)
    if not isinstance(image.image_id, str) or not is_text(image.image_id):
        raise UsageError(
            f"Each key must be a text that UTF-8 can hold, got {image.image_id!r}; convert it."
        )
    if not (isinstance(image.data, bytes) or (image.data is None and image.reason)):
        raise UsageError(
            "Each element must be an Image or a pair of a key and the bytes of an image file, got "
            f"a {type(element).__name__} with {type(image.data).__name__} for bytes; convert it."
        )
    return image


def as_ref(image: Image, place: int) -> Ref:
    """The reference by which `InMemory` finds the image.

    Args:
        image: see `Image`.
        place: of its bytes among those that the source holds.
    """
    landmarks = None if image.landmarks is None else tuple(image.landmarks)
    code = ReasonCode(image.reason_code or ReasonCode.UNREADABLE.value)
    reason = Reason(code, image.reason) if image.reason else None
    return Ref(image.image_id, image.identity, "", place, reason=reason, landmarks=landmarks)
