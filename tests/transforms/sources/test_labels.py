import pytest

from facemill.transforms.sources.base import Ref
from facemill.transforms.sources.labels import (
    MORE_THAN_ONE_LINE,
    BadValueError,
    as_identity,
    of_one_line,
)


@pytest.mark.parametrize(
    ("value", "identity"),
    [
        (None, None),
        (float("nan"), None),
        ("", None),
        (" \t\n", None),
        (b"", None),
        (" Ada Lovelace\n", "Ada Lovelace"),
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
def test_what_names_an_identity(value, identity):
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
def test_what_names_none_is_told(value, reason):
    with pytest.raises(BadValueError, match=reason):
        as_identity(value, "split")


@pytest.mark.parametrize("name", ["Ada\nLovelace", "cr\rname", "end\n"])
def test_a_name_of_two_lines_is_a_reason(name):
    assert of_one_line(Ref("1.jpg", name, "1.jpg")).reason == MORE_THAN_ONE_LINE
    assert of_one_line(Ref("1.jpg", name, "1.jpg", reason="worse")).reason == "worse"


@pytest.mark.parametrize(
    "name", [None, "", "Ada Lovelace", "tab\tname", "line\u2028separator", " "]
)
def test_any_other_name_is_as_good_as_another(name):
    ref = Ref("1.jpg", name, "1.jpg")
    assert of_one_line(ref) is ref
