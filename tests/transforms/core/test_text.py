from facemill.transforms.core.text import one_line, readable


def test_lone_surrogates_become_escapes():
    assert readable("Zoë/\udcff") == "Zoë/\\udcff"


def test_an_error_becomes_one_short_line():
    assert one_line(ValueError("two\n  lines\tof \udcff")) == "two lines of \\udcff"
    assert one_line(KeyError()) == "KeyError"
    assert one_line(ValueError("x" * 999)) == "x" * 200
