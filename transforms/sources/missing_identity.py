"""Images without an identity, for jobs that need none."""

import dataclasses

from facemill.transforms.core.reasons import WITHOUT_IDENTITY, Reason
from facemill.transforms.sources.base import Ref


def reason_of(ref: Ref) -> Reason | None:
    """Why an image cannot be used by a job that needs no identities, or None.

    The lack of an identity is then no reason; but an exclusion of a dataset keeps its reason.
    """
    if ref.reason is None or (ref.reason.code in WITHOUT_IDENTITY and not ref.outcome):
        return None
    return ref.reason


def ignore_missing_identity(ref: Ref) -> Ref:
    """The image with the reason that `reason_of` returns."""
    reason = reason_of(ref)
    return ref if reason == ref.reason else dataclasses.replace(ref, reason=reason)


def without_identity(ref: Ref) -> Ref:
    """The image without its identity, and without a reason for the lack of one."""
    return dataclasses.replace(ref, identity=None, reason=reason_of(ref))
