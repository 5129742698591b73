"""Converts the label of an image in a source to the name of an identity.

Sources spell names as they find them; `in_normal_form` is where the listing makes names of one
person equal, whatever the source.
"""

import dataclasses
import math

from facemill.transforms.core.reasons import Reason, ReasonCode, ReasonError
from facemill.transforms.dataset.identity_names import compared_form, normal_form
from facemill.transforms.sources.base import Ref

# The fields of labeled records that may name the identity; the first that is present counts.
NAMES = ("identity", "label", "class", "name")

MORE_THAN_ONE_LINE = Reason(
    ReasonCode.BAD_LABEL, "the name of its identity must be one line, but holds a line break"
)


class BadValueError(ReasonError):
    """A value in the source cannot be used; its reason becomes that of the row."""

    def __init__(self, text: str, code: ReasonCode = ReasonCode.BAD_LABEL) -> None:
        super().__init__(code, text)
        self.args = (text, code)


def as_identity(value: object, what: str = "label") -> str | None:
    """The identity that a label names, spelled as there; None if it names nobody.

    A whole number is named by its digits, also as a float, since a column of integers with gaps
    often holds floats. Line breaks at the ends of a text are removed.

    Args:
        value: the label as the source's format has it.
        what: how the message calls the value.

    Raises:
        BadValueError: the label is neither a text in UTF-8 nor a whole number.
    """
    text = label_text(value, what)
    return None if text is None or normal_form(text) is None else text.strip("\r\n")


def label_text(value: object, what: str) -> str | None:
    """The text of a label, the digits of a whole number, or None for a null.

    Args:
        value: see `as_identity`.
        what: see `as_identity`.

    Raises:
        BadValueError: see `as_identity`.
    """
    if isinstance(value, bytes):
        try:
            value = value.decode("utf-8")
        except UnicodeDecodeError:
            raise BadValueError(f"its {what} is not valid UTF-8") from None
    if isinstance(value, str):
        return checked_text(value, what)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise BadValueError(
        f"its {what} must be a text or a whole number, got a {type(value).__name__}"
    )


def in_normal_form(ref: Ref, match: str) -> Ref:
    """The image with its identity in the form that everything compares.

    Where that differs from the source's spelling, `identity_source` keeps the spelling.

    Args:
        ref: as its source lists it.
        match: one of `transforms.dataset.identity_names.MATCHES`.
    """
    if ref.identity is None:
        return ref
    identity = compared_form(ref.identity, match)
    if identity == ref.identity:
        return ref
    spelled = None if identity is None else ref.identity
    return dataclasses.replace(ref, identity=identity, identity_source=spelled)


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
