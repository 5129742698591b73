import pytest

from facemill.transforms.core.errors import UsageError
from facemill.transforms.dataset.identity_lists import read_identities

PEOPLE = "Abdel_Madi_Shabneh\t1\nAbdul_Rahman\t1\nAbel_Pacheco\t4\n"
PAIRS = "Abel_Pacheco\t1\t4\nAkhmed_Zakayev\t1\t3\nAbdel_Madi_Shabneh\t1\tDean_Barker\t1\n"
NAMED = {"Abdel_Madi_Shabneh", "Abdul_Rahman", "Abel_Pacheco"}
PAIRED = {"Abel_Pacheco", "Akhmed_Zakayev", "Abdel_Madi_Shabneh", "Dean_Barker"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ada\nBob\n", {"Ada", "Bob"}),
        ("\ufeffAda\r\n\r\n  Bob L  \r\n", {"Ada", "Bob L"}),
        # Numbered identities, as CASIA-WebFace has them: the first is no count.
        ("0000045\n0000099\n", {"0000045", "0000099"}),
        ("7\n", {"7"}),
        # people*.txt: without header, with one count, with folds and a count in each.
        (PEOPLE, NAMED),
        ("3\n" + PEOPLE, NAMED),
        ("2\n3\n" + PEOPLE + "1\nAda\t9\n", NAMED | {"Ada"}),
        ("2\n0000045\t15\n0000099\t20\n", {"0000045", "0000099"}),
        # pairs*.txt: View 2 has folds and pairs in its header, View 1 pairs only.
        ("10\t300\n" + PAIRS, PAIRED),
        ("1100\n" + PAIRS, PAIRED),
        ("2\t1\n" + PAIRS + "1\n" + "Eve\t1\tAda\t2\n", PAIRED | {"Eve", "Ada"}),
        ("1\n0000045\t1\t4\n0000045\t1\t0000099\t2\n", {"0000045", "0000099"}),
    ],
)
def test_identities_are_read_from_each_layout(tmp_path, text, expected):
    path = tmp_path / "names.txt"
    path.write_bytes(text.encode())
    assert read_identities(str(path), "exclude_identities") == expected


@pytest.mark.parametrize("data", [b"", b"\n \n", b"\xff\xfe", None])
def test_a_file_without_identities_is_a_usage_error(tmp_path, data):
    path = tmp_path / "names.txt"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(UsageError, match="`exclude_identities` must"):
        read_identities(str(path), "exclude_identities")
