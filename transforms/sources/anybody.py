"""What an input gives where it does not count whose face an image shows."""

import dataclasses

from facemill.transforms.sources.base import Ref
from facemill.transforms.sources.folders import NO_FOLDER
from facemill.transforms.sources.megaface import NO_PERSON

# Reasons that say no more than that nobody knows whose face it is.
_NOBODY = frozenset({NO_FOLDER, NO_PERSON})


def reason_of(ref: Ref) -> str:
    """Why an image cannot be used; one that lies in no identity's folder can."""
    return "" if ref.reason in _NOBODY and not ref.outcome else ref.reason


def ignore_missing_identity(ref: Ref) -> Ref:
    """The image with the reason of `reason_of`."""
    reason = reason_of(ref)
    return ref if reason == ref.reason else dataclasses.replace(ref, reason=reason)
