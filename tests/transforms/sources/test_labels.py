import pytest

from facemill.transforms.sources.base import Ref
from facemill.transforms.sources.labels import (
    MORE_THAN_ONE_LINE,
    BadValueError,
    as_identity,
    in_normal_form,
    refuse_multiline_identity,
)


@pytest.mark.parametrize(
    ("value", "identity"),
    [
        (None, None),
        (float("nan"), None),
        ("", None),
        (" \t\n", None),
        (b"", None),
        ("Ada Lovelace\r\n", "Ada Lovelace"),
        # The spelling stays until the listing brings it to its normal form.
        (" Ada Lovelace\n", " Ada Lovelace"),
        ("45.0", "45.0"),
        ("-1.0", None),
        ("NaN", None),
        (b"None", None),
        ("Zoë".encode(), "Zoë"),
        (0, "0"),
        (-7, "-7"),
        (-1, None),
        (-1.0, None),
        ("-1", None),
        (b" -1\n", None),
        ("-1 of 2", "-1 of 2"),
        (12.0, "12"),
        (1e20, "100000000000000000000"),
    ],
)
def test_a_label_is_converted_to_an_identity_or_none(value, identity):
    assert as_identity(value) == identity


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"\xff", "its split is not valid UTF-8"),
        ("\ud800", "its split is not valid UTF-8"),
        (True, "its split must be a text or a whole number, got a bool"),
        (0.5, "its split must be a text or a whole number, got a float"),
        (float("inf"), "its split must be a text or a whole number, got a float"),
        ([], "its split must be a text or a whole number, got a list"),
    ],
)
def test_a_label_that_is_neither_text_nor_whole_number_is_an_error(value, reason):
    with pytest.raises(BadValueError, match=reason):
        as_identity(value, "split")


@pytest.mark.parametrize("name", ["Ada\nLovelace", "cr\rname", "end\n"])
def test_an_identity_with_a_line_break_has_a_reason(name):
    assert refuse_multiline_identity(Ref("1.jpg", name, "1.jpg")).reason == MORE_THAN_ONE_LINE
    assert refuse_multiline_identity(Ref("1.jpg", name, "1.jpg", reason="worse")).reason == "worse"


@pytest.mark.parametrize(
    "name", [None, "", "Ada Lovelace", "tab\tname", "line\u2028separator", " "]
)
def test_an_identity_without_a_line_break_is_unchanged(name):
    ref = Ref("1.jpg", name, "1.jpg")
    assert refuse_multiline_identity(ref) is ref


@pytest.mark.parametrize(
    ("spelled", "match", "identity", "kept_spelling"),
    [
        ("Ada Lovelace", "exact", "Ada Lovelace", None),
        (" Zoe\u0308 ", "exact", "Zoë", " Zoe\u0308 "),
        ("45.0", "exact", "45", "45.0"),
        ("Ada_Lovelace", "exact", "Ada_Lovelace", None),
        ("Ada_Lovelace", "folded", "ada lovelace", "Ada_Lovelace"),
        # Nobody has no spelling.
        ("-1", "exact", None, None),
        ("nan", "folded", None, None),
        (None, "folded", None, None),
    ],
)
def test_an_image_gets_the_normal_form_and_keeps_another_spelling(
    spelled, match, identity, kept_spelling
):
    found = in_normal_form(Ref("1.jpg", spelled, "1.jpg"), match)
    assert (found.identity, found.identity_source) == (identity, kept_spelling)
