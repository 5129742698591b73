import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facemill.transforms.dataset.identity_names import (
    EXACT,
    FOLDED,
    MATCHES,
    NOBODY,
    compared_form,
    folded,
    normal_form,
)

# Letters whose forms differ, blanks of many kinds, digits, and texts that name nobody.
PIECES = st.sampled_from(
    [
        *("a", "Z", "é", "e\u0301", "ǅ", "ß", "İ", "ﬁ", "가", "か\u3099", "й", "कि", "\u0345", "ẞ"),
        *(" ", "\t", "\u00a0", "\u3000", "\u2000", "\x85", "\u2028", "\u200b", "\ufeff", "_"),
        *("0", "4", ".", ".0", "-", "-1", "-0.0", "nan", "NONE", "\n", "٤", "４"),
    ]
)
NAMES = st.one_of(st.text(), st.lists(PIECES).map("".join))
BLANKS = st.text(alphabet=" \t\u00a0\u3000\u2003\u200b\ufeff\r\n")


@given(NAMES)
def test_the_normal_form_of_a_normal_form_is_itself(name):
    found = normal_form(name)
    assert found is None or normal_form(found) == found


@given(NAMES)
def test_a_folded_form_is_its_own_normal_and_folded_form(name):
    found = folded(name)
    assert found is None or normal_form(found) == folded(found) == found


@given(NAMES, BLANKS, BLANKS)
def test_composed_or_not_and_with_blanks_at_its_ends_a_name_is_one_identity(name, before, after):
    for form in ("NFC", "NFD"):
        spelled = before + unicodedata.normalize(form, name) + after
        assert normal_form(spelled) == normal_form(name)
        assert folded(spelled) == folded(name)


@given(NAMES)
def test_names_that_are_one_identity_are_one_when_folded_too(name):
    found = normal_form(name)
    assert compared_form(name, EXACT) == found
    assert compared_form(name, FOLDED) == (None if found is None else folded(found))


@given(st.integers(-(10**18), 10**18), st.integers(1, 5))
def test_a_whole_number_with_a_point_is_the_number(number, zeros):
    expected = None if number == -1 else str(number)
    assert normal_form(f" {number}.{'0' * zeros}") == expected
    assert normal_form(str(number)) == expected


@pytest.mark.parametrize("name", [*sorted(NOBODY), "-1.0", " nan\n", "\u00a0", "\ufeff"])
@pytest.mark.parametrize("match", MATCHES)
def test_a_name_of_nobody_is_none(name, match):
    assert compared_form(name, match) is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Ada  \t Lovelace", "Ada Lovelace"),
        ("Zoe\u0308", "Zoë"),
        ("0000045", "0000045"),
        ("0045.00", "0045"),
        ("45.5", "45.5"),
        ("1.0.0", "1.0.0"),
        ("-0.0", "0"),
        ("Null", "Null"),
        ("NA", "NA"),
        ("Nan", "Nan"),
        ("nobody", "nobody"),
        ("two\nlines", "two\nlines"),
    ],
)
def test_a_name_has_the_normal_form_that_the_documentation_states(name, expected):
    assert normal_form(name) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Zoë_Saldaña", "zoe saldana"),
        ("STRASSE", "strasse"),
        ("Straße", "strasse"),
        ("Ada__Lovelace_", "ada lovelace"),
        ("Łukasz", "łukasz"),
        ("が", "が"),
        ("Йод", "иод"),
        ("किरण", "किरण"),
    ],
)
def test_a_name_has_the_folded_form_that_the_documentation_states(name, expected):
    assert folded(name) == expected
