"""Foreign text as rows and messages can hold it."""

_LONGEST = 200


def readable(text: str) -> str:
    """A name as UTF-8 can hold it: bytes that are none, lone surrogates here, become escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def one_line(error: BaseException) -> str:
    """An error's message, short enough for a row."""
    return (" ".join(readable(str(error)).split()) or type(error).__name__)[:_LONGEST]
