"""Text for rows and messages."""

from collections.abc import Mapping

_LONGEST = 200
_FEW = 3


def readable(text: str) -> str:
    """A name that UTF-8 can encode: lone surrogates (bytes that are not UTF-8) become escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def one_line(error: BaseException) -> str:
    """An error's message, short enough for a row."""
    return (" ".join(readable(str(error)).split()) or type(error).__name__)[:_LONGEST]


def first_counted(counts: Mapping[str, int]) -> str:
    """The first few entries of counts, each as "COUNT NAME"."""
    return "; ".join(f"{count} {what}" for what, count in list(counts.items())[:_FEW])
