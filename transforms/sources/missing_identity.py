"""Images whose identity the source does not say, where it does not count whose face they show."""

import dataclasses

from facemill.transforms.core.reasons import WITHOUT_IDENTITY, Reason
from facemill.transforms.sources.base import Ref


def reason_of(ref: Ref) -> Reason | None:
    """Why an image cannot be used; one that lies in no identity's folder can."""
    if ref.reason is None or (ref.reason.code in WITHOUT_IDENTITY and not ref.outcome):
        return None
    return ref.reason


def ignore_missing_identity(ref: Ref) -> Ref:
    """The image with the reason of `reason_of`."""
    reason = reason_of(ref)
    return ref if reason == ref.reason else dataclasses.replace(ref, reason=reason)
