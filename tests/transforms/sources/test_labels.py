import pytest

from transforms.sources.labels import BadValueError, as_identity


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
