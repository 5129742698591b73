from facemill.transforms.core.text import one_line, readable


def test_names_of_any_bytes_become_text():
    assert readable("Zoë/\udcff") == "Zoë/\\udcff"


def test_an_error_is_one_short_line_of_text():
    assert one_line(ValueError("two\n  lines\tof \udcff")) == "two lines of \\udcff"
    assert one_line(KeyError()) == "KeyError"
    assert one_line(ValueError("x" * 999)) == "x" * 200
