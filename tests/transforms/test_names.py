import pytest

from transforms.errors import UsageError
from transforms.names import read_identities


def test_names_are_read_one_a_line(tmp_path):
    path = tmp_path / "names.txt"
    path.write_text("Zoë Test\n\n  id00002  \r\nid00002\nlast", encoding="utf-8")
    found = read_identities(str(path), "--include-identities")
    assert found == {"Zoë Test", "id00002", "last"}


def test_lfws_own_lists_can_be_given(tmp_path):
    path = tmp_path / "peopleDevTrain.txt"
    path.write_text("2\nAJ_Cook\t1\nGeorge_W_Bush\t530\n")
    assert read_identities(str(path), "--include-identities") == {"AJ_Cook", "George_W_Bush"}


@pytest.mark.parametrize("content", [b"", b"\n \n", b"3\n"])
def test_a_file_that_names_nobody_is_refused(tmp_path, content):
    path = tmp_path / "names.txt"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="--exclude-identities must name at least one identity"):
        read_identities(str(path), "--exclude-identities")


def test_what_is_no_text_is_refused(tmp_path):
    (tmp_path / "names.txt").write_bytes(b"caf\xe9\n")
    for path in (tmp_path / "names.txt", tmp_path, tmp_path / "absent"):
        with pytest.raises(UsageError, match="--exclude-identities must be a text file in UTF-8"):
            read_identities(str(path), "--exclude-identities")


def test_identities_that_are_numbers_are_all_read(tmp_path):
    # CASIA-WebFace's folders have such names; a first one that is lost would not be held out.
    path = tmp_path / "names.txt"
    path.write_text("0000045\n0000099\n0000100\n")
    found = read_identities(str(path), "--exclude-identities")
    assert found == {"0000045", "0000099", "0000100"}


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path):
    path = tmp_path / "names.txt"
    path.write_text("id00001\nid00002\n", encoding="utf-8-sig")
    assert read_identities(str(path), "--exclude-identities") == {"id00001", "id00002"}
