"""The normal form of an identity's name: what everything compares that compares names.

One person's name reaches a collection in several spellings: composed or decomposed (a folder copied
from a Mac), with blanks at its ends (a spreadsheet), as `45.0` (a column of numbers with gaps). All
sources, lists and datasets pass through `normal_form`, so that one person is one identity.
"""

import functools
import re
import unicodedata

# How names are compared: in their normal form, or folded too.
EXACT, FOLDED = "exact", "folded"
MATCHES = (EXACT, FOLDED)

# Normal forms that name nobody: what spreadsheets, data frames and clusterings write for "none".
# `Null`, `Nan` and `NA` are names of people, so only these spellings count.
NOBODY = frozenset(
    {
        *("", "-1"),
        *("nan", "NaN", "NAN", "-nan", "-NaN"),
        *("none", "None", "NONE"),
        *("null", "NULL"),
        *("<NA>", "N/A", "n/a", "#N/A"),
    }
)

# Marks without width that editors and spreadsheets leave at the ends of a text.
_ENDS = re.compile(r"^[\s\u200b\u2060\ufeff]+|[\s\u200b\u2060\ufeff]+$")
# Line breaks stay: a name of several lines is damage, which the listing reports.
_BLANKS = re.compile(r"[^\S\r\n]+")
_WHOLE = re.compile(r"(-?[0-9]+)\.0+")
# Accents of Latin, Greek and Cyrillic; marks of other scripts tell letters apart.
_ACCENTS = re.compile("[\u0300-\u036f]+")
# A listing names the same few identities again and again.
_REMEMBERED = 4096


def normal_form(name: str) -> str | None:
    """The normal form of a name; None if it names nobody.

    The name is composed (Unicode NFC), white space at its ends is removed, each run of blanks in it
    becomes one space, and a whole number loses its zeros after the point (`45.0` is `45`). Case,
    accents and leading zeros (`0000045`) count. The normal form of a normal form is itself.
    """
    text = _BLANKS.sub(" ", _ENDS.sub("", unicodedata.normalize("NFC", name)))
    number = _WHOLE.fullmatch(text)
    if number:
        text = "0" if number[1] == "-0" else number[1]
    return None if text in NOBODY else text


def folded(name: str) -> str | None:
    """The folded form of a name, in which case, accents and `_` for a space do not count.

    The name is decomposed with compatibility (Unicode NFKD), accents (U+0300 to U+036F) are
    removed, `_` becomes a space, case is folded, and the result is brought to its normal form. So
    `Zoë_Saldaña` and `zoe saldana` are one name. The folded form of a folded form is itself.
    """
    text: str | None = name
    before = None
    # Folding the case of some letters gives letters that can be decomposed further.
    while text is not None and text != before:
        before = text
        decomposed = unicodedata.normalize("NFKD", text.replace("_", " ")).casefold()
        text = normal_form(_ACCENTS.sub("", unicodedata.normalize("NFKD", decomposed)))
    return text


@functools.lru_cache(_REMEMBERED)
def compared_form(name: str, match: str) -> str | None:
    """The form of a name that everything compares; None if it names nobody.

    Args:
        name: as a source or a list spells it.
        match: EXACT for the normal form, or FOLDED.
    """
    found = normal_form(name)
    return folded(found) if match == FOLDED and found is not None else found
