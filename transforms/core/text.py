"""Text as rows and messages can hold it."""

from collections.abc import Mapping

_LONGEST = 200
_FEW = 3


def readable(text: str) -> str:
    """A name as UTF-8 can hold it: bytes that are none, lone surrogates here, become escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def one_line(error: BaseException) -> str:
    """An error's message, short enough for a row."""
    return (" ".join(readable(str(error)).split()) or type(error).__name__)[:_LONGEST]


def first_counted(counts: Mapping[str, int]) -> str:
    """The first few of what was counted, each after its number."""
    return "; ".join(f"{count} {what}" for what, count in list(counts.items())[:_FEW])
