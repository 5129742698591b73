"""From what a source says about an image to the name of an identity."""

import dataclasses
import math

from facemill.transforms.core.reasons import Reason, ReasonCode, ReasonError
from facemill.transforms.sources.base import Ref

# What sources of labeled records call the identity, the most telling name first.
NAMES = ("identity", "label", "class", "name")

# What collections with numbers for identities write where there is none.
_NOBODY = "-1"
MORE_THAN_ONE_LINE = Reason(
    ReasonCode.BAD_LABEL, "the name of its identity must be one line, but holds a line break"
)


class BadValueError(ReasonError):
    """A value in the source that cannot be used; its reason is the row's."""

    def __init__(self, text: str, code: ReasonCode = ReasonCode.BAD_LABEL) -> None:
        super().__init__(code, text)
        self.args = (text, code)


def as_identity(value: object, what: str = "label") -> str | None:
    """The identity that a label stands for; None where it stands for none: empty, or -1.

    Whole numbers are taken by their digits, also as floats, since a table whose column of integers
    has gaps often holds floats. White space around a text does not count.

    Args:
        value: as the source's format has it.
        what: the value is called, for the message.

    Raises:
        BadValueError: it is no text in UTF-8 and no whole number.
    """
    if isinstance(value, bytes):
        try:
            value = value.decode("utf-8")
        except UnicodeDecodeError:
            raise BadValueError(f"its {what} is not valid UTF-8") from None
    if isinstance(value, str):
        text = checked_text(value.strip(), what)
        return None if text in ("", _NOBODY) else text
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return None if str(value) == _NOBODY else str(value)
    raise BadValueError(
        f"its {what} must be a text or a whole number, got a {type(value).__name__}"
    )


def of_one_line(ref: Ref) -> Ref:
    """The image; with a reason if the name of its identity is more than one line.

    The vocabulary of identities has one on each line, so a network would not know this one.
    """
    if ref.reason or not ref.identity or not ("\n" in ref.identity or "\r" in ref.identity):
        return ref
    return dataclasses.replace(ref, reason=MORE_THAN_ONE_LINE)


def checked_text(text: str, what: str) -> str:
    """`text` itself.

    Raises:
        BadValueError: it holds lone surrogates, which no column can hold.
    """
    if not is_text(text):
        raise BadValueError(f"its {what} is not valid UTF-8")
    return text


def is_text(text: str) -> bool:
    """Whether UTF-8 can hold it."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
