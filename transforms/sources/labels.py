"""Converts the label of an image in a source to the name of an identity."""

import dataclasses
import math

from facemill.transforms.core.reasons import Reason, ReasonCode, ReasonError
from facemill.transforms.sources.base import Ref

# The fields of labeled records that may name the identity; the first that is present counts.
NAMES = ("identity", "label", "class", "name")

# The label that collections with numbered identities give an image without one.
_NO_IDENTITY = "-1"
MORE_THAN_ONE_LINE = Reason(
    ReasonCode.BAD_LABEL, "the name of its identity must be one line, but holds a line break"
)


class BadValueError(ReasonError):
    """A value in the source cannot be used; its reason becomes that of the row."""

    def __init__(self, text: str, code: ReasonCode = ReasonCode.BAD_LABEL) -> None:
        super().__init__(code, text)
        self.args = (text, code)


def as_identity(value: object, what: str = "label") -> str | None:
    """The identity that a label names; None if the label is empty or -1.

    A whole number is named by its digits, also as a float, since a column of integers with gaps
    often holds floats. White space around a text is removed.

    Args:
        value: the label as the source's format has it.
        what: how the message calls the value.

    Raises:
        BadValueError: the label is neither a text in UTF-8 nor a whole number.
    """
    if isinstance(value, bytes):
        try:
            value = value.decode("utf-8")
        except UnicodeDecodeError:
            raise BadValueError(f"its {what} is not valid UTF-8") from None
    if isinstance(value, str):
        text = checked_text(value.strip(), what)
        return None if text in ("", _NO_IDENTITY) else text
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return None if str(value) == _NO_IDENTITY else str(value)
    raise BadValueError(
        f"its {what} must be a text or a whole number, got a {type(value).__name__}"
    )


def refuse_multiline_identity(ref: Ref) -> Ref:
    """The image; with a reason if the name of its identity has more than one line.

    The vocabulary file has one identity on each line, so it cannot hold such a name.
    """
    if ref.reason or not ref.identity or not ("\n" in ref.identity or "\r" in ref.identity):
        return ref
    return dataclasses.replace(ref, reason=MORE_THAN_ONE_LINE)


def checked_text(text: str, what: str) -> str:
    """Returns `text` if UTF-8 can encode it.

    Raises:
        BadValueError: the text holds lone surrogates, which no column can hold.
    """
    if not is_text(text):
        raise BadValueError(f"its {what} is not valid UTF-8")
    return text


def is_text(text: str) -> bool:
    """Whether UTF-8 can encode a text."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
