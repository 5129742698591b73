"""The rows that go into and come out of the transforms."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from apache_beam import coders

from facemill.transforms.core.errors import UsageError
from facemill.transforms.core.reasons import Reason, ReasonCode
from facemill.transforms.dataset.identity_names import EXACT
from facemill.transforms.sources.base import Ref
from facemill.transforms.sources.labels import in_normal_form, is_text

# A step processes its batch once it holds this many bytes of images.
MAX_WAITING_BYTES = 64 << 20


class Image(NamedTuple):
    """One photo.

    Attributes:
        image_id: its key, unique in the collection.
        data: the bytes of its file; None if it cannot be read.
        identity: the identity that the source gives it, or None.
        reason: why it cannot be read, or None.
        landmarks: x and y of left eye, right eye, nose, left and right corner of the mouth, in
            pixels of the upright image, if the source has them; else None.
        reason_code: the code of the reason, a value of `ReasonCode`, or None.
    """

    image_id: str
    data: bytes | None
    identity: str | None = None
    reason: str | None = None
    landmarks: Sequence[float] | None = None
    reason_code: str | None = None


class Exclusion(NamedTuple):
    """An image that should be removed from a collection.

    Attributes:
        key: the key of the image.
        outcome: `duplicate` of an image that is kept, `conflict` with a duplicate under another
            identity, or `rejected` because it cannot be read.
        duplicate_of: key of the other image; None for a rejected one.
        reason: a phrase, such as "near duplicate".
        reason_code: the code of the reason, a value of `ReasonCode`.
    """

    key: str
    outcome: str
    duplicate_of: str | None
    reason: str
    reason_code: str


class Embedding(NamedTuple):
    """The embedding of one image.

    Attributes:
        key: the key of the image.
        vector: float32 [D] of length 1; None if there is none.
        reason: why there is none, or None.
        reason_code: the code of the reason, a value of `ReasonCode`, or None.
    """

    key: str
    vector: np.ndarray | None
    reason: str | None
    reason_code: str | None


# Row coders, so that Beam SQL, `beam.Select` and other languages can read the elements too.
coders.registry.register_coder(Image, coders.RowCoder)
coders.registry.register_coder(Exclusion, coders.RowCoder)


def as_image(element: Any) -> Image:
    """Converts an element of any pipeline to an `Image`.

    Args:
        element: an `Image`, or a pair of key and bytes.

    Raises:
        UsageError: the element is neither, or its key is not a text that UTF-8 can encode.
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


def as_ref(image: Image, index: int) -> Ref:
    """The reference by which `InMemory` finds the image.

    Args:
        image: see `Image`.
        index: index of its bytes in the source.
    """
    landmarks = None if image.landmarks is None else tuple(image.landmarks)
    code = ReasonCode(image.reason_code or ReasonCode.UNREADABLE.value)
    reason = Reason(code, image.reason) if image.reason else None
    ref = Ref(image.image_id, image.identity, "", index, reason=reason, landmarks=landmarks)
    return in_normal_form(ref, EXACT)
