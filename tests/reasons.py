"""Reasons for tests in which any will do."""

from facemill.transforms.core.reasons import Reason, ReasonCode


def because(text: str, code: ReasonCode = ReasonCode.UNREADABLE) -> Reason:
    return Reason(code, text)
