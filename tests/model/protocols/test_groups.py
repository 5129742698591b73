import pytest

from facemill.model.protocols.groups import parse_groups
from facemill.model.protocols.lfw import Pair
from facemill.transforms.core.errors import UsageError


def test_an_image_s_own_group_goes_before_its_identity_s():
    groups = parse_groups("identity;group;image_id\nAda;old;\nBob;old;\n;young;Ada/1.jpg\n", "g")
    assert groups.of_pair(Pair("Ada/2.jpg", "Bob/1.jpg", False, 0)) == "old"
    assert groups.of_pair(Pair("Ada/1.jpg", "Ada/2.jpg", True, 0)) is None
    assert groups.of_pair(Pair("Zoe/1.jpg", "Ada/2.jpg", False, 0)) is None
    assert groups.of_pair(Pair("Zoe/1.jpg", "Zoe/2.jpg", True, 0)) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "g must begin with the names of its columns, group and image_id or identity"),
        ("image_id,age\n", "must begin with the names of its columns"),
        ("identity,group\nAda,\n", "line 2 must have an image_id or identity, and a group"),
        ("identity,group\nAda,a\nAda,b\n", "line 3 must not put Ada into b, since an earlier line"),
    ],
)
def test_a_wrong_table_is_refused(text, said):
    with pytest.raises(UsageError, match=said):
        parse_groups(text, "g")
