"""Lists of pairs in every form that people write them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facemill.model.protocols.pair_lists import identity_of, read_pairs
from facemill.transforms.core.errors import UsageError

EXPECTED = [("Ada/1.jpg", "Ada/2.jpg", True), ("Ada/1.jpg", "Grace/1.jpg", False)]
LFW = [
    ("Ada/Ada_0001.jpg", "Ada/Ada_0004.jpg", True),
    ("Ada/Ada_0001.jpg", "Grace/Grace_0002.jpg", False),
]


def read(text: str) -> list[tuple[str, str, bool]]:
    return [(pair.left, pair.right, pair.genuine) for pair in read_pairs(text, "p.csv").pairs]


@pytest.mark.parametrize(
    "text",
    [
        "Ada/1.jpg Ada/2.jpg\nAda/1.jpg Grace/1.jpg\n",
        "Ada/1.jpg Grace/1.jpg\r\n\r\n  Ada/1.jpg   Ada/2.jpg  \r\n",
        "\ufeffAda/1.jpg,Ada/2.jpg\nAda/1.jpg,Grace/1.jpg",
        "Ada/1.jpg, Ada/2.jpg, 1\nAda/1.jpg, Grace/1.jpg, 0\n",
        "Ada/1.jpg;Ada/2.jpg;same\nAda/1.jpg;Grace/1.jpg;different\n",
        "1 Ada/1.jpg Ada/2.jpg\n0 Ada/1.jpg Grace/1.jpg\n",
        "Ada/1.jpg\tAda/2.jpg\tTrue\nAda/1.jpg\tGrace/1.jpg\tFalse\n",
        "image1,image2,label\nAda/1.jpg,Ada/2.jpg,1\nAda/1.jpg,Grace/1.jpg,-1\n",
        "issame,path_1,path_2\n1,Ada/1.jpg,Ada/2.jpg\n0,Ada/1.jpg,Grace/1.jpg\n",
        'left,right\n"Ada/1.jpg","Ada/2.jpg"\nGrace/1.jpg,Ada/1.jpg\n',
        "score,File A,Left,Right\n1,x,Ada/1.jpg,Ada/2.jpg\n3,y,Ada/1.jpg,Grace/1.jpg\n",
        ".\\Ada\\1.jpg,Ada/2.jpg\nAda/1.jpg,Grace\\1.jpg\n",
        # A pair that repeats counts once.
        "Ada/1.jpg Ada/2.jpg\nAda/2.jpg Ada/1.jpg\nAda/1.jpg Grace/1.jpg\n",
    ],
)
def test_pairs_by_path_are_read(text):
    assert read(text) == EXPECTED


@pytest.mark.parametrize(
    "text",
    [
        "Ada 1 4\nAda 1 Grace 2\n",
        "name,imagenum1,imagenum2,\nAda,1,4,\nAda,1,Grace,2\n",
        "Ada\t1\tGrace\t2\nAda\t1\t4\n",
        "1\nAda\t1\t4\nAda\t1\tGrace\t2\n",
        "\ufeff1\n\nAda 1 Grace 2 \nAda 1 4\n\n",
    ],
)
def test_rows_of_lfw_are_read_with_and_without_its_first_line(text):
    assert sorted(read(text)) == LFW


def test_folds_are_those_of_the_column():
    text = "left,right,fold\nAda/1,Ada/2,10\nAda/1,Bob/1,9\nAda/2,Bob/1,10\nBob/1,Bob/2,9\n"
    found = read_pairs(text, "p.csv")
    assert (found.view, found.folds) == (None, 2)
    assert [(pair.left, pair.right, pair.fold) for pair in found.pairs] == [
        ("Ada/1", "Ada/2", 1),
        ("Ada/1", "Bob/1", 0),
        ("Ada/2", "Bob/1", 1),
        ("Bob/1", "Bob/2", 0),
    ]
    assert read_pairs("Ada/1 Ada/2\nAda/1 Bob/1\n", "p").folds == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it is empty"),
        ("1.jpg 2.jpg\n", "line 1 must have a label, or paths whose last folder"),
        ("Ada/1.jpg\n", "line 1 must be two paths"),
        ("Ada/1.jpg a b c d\n", "line 1 must be two paths"),
        ("Ada/1.jpg Ada/1.jpg\n", "line 1 must name two images, got Ada/1.jpg twice"),
        ("x,y,c\n1,2\n", "line 1 must say by 1 or 0"),
        ("a/1,a/2,1\n\na/2,a/1,0\n", "line 3 must not contradict line 1"),
        ("left,right,label\na/1,a/2,\n", "line 2 must say by 1 or 0"),
        ("left,right,label\na/1\n", "line 2 must have two images"),
        ("Ada/1 Ada/2\n", "must have genuine and impostor pairs, got 1 genuine and 0 impostor"),
    ],
)
def test_a_wrong_row_is_named(text, message):
    with pytest.raises(UsageError, match=message) as refused:
        read_pairs(text, "p.csv")
    assert len(str(refused.value)) < 400


@settings(max_examples=50, deadline=None)
@given(st.permutations(range(8)), st.lists(st.booleans(), min_size=8, max_size=8))
def test_the_order_of_rows_and_of_images_makes_no_difference(order, swapped):
    rows = [(f"p{i // 3}/{i}.jpg", f"p{i % 4 // 3}/x{i}.jpg") for i in range(8)]
    text = "\n".join(
        " ".join(rows[at][::-1] if swap else rows[at])
        for at, swap in zip(order, swapped, strict=True)
    )
    plain = "\n".join(" ".join(row) for row in rows)
    assert read_pairs(text, "p") == read_pairs(plain, "p")


def test_the_last_folder_of_a_path_is_the_identity():
    assert [identity_of(one) for one in ("a/b/c.jpg", "b/c.jpg", "c.jpg")] == ["b", "b", ""]


def test_calfw_and_cplfw_have_a_pair_in_two_lines():
    text = "Ann_Lee_0001.jpg 1\nAnn_Lee_0002.jpg 1\nAnn_Lee_0001.jpg 0\nBob_0001.jpg 0\n"
    pairs = read_pairs(text, "pairs_CALFW.txt")
    assert [(pair.left, pair.right, pair.genuine) for pair in pairs.pairs] == [
        ("Ann_Lee_0001.jpg", "Ann_Lee_0002.jpg", True),
        ("Ann_Lee_0001.jpg", "Bob_0001.jpg", False),
    ]
    # In CPLFW's, the number of a genuine pair may be that of its fold.
    assert read_pairs(text.replace(" 1", " 7"), "p") == pairs
    with pytest.raises(UsageError, match="lines 1 and 2 must be a pair with one number, got 1 and"):
        read_pairs(text.replace(" 1", " 0", 2).replace(" 0", " 1", 1), "p")
    with pytest.raises(UsageError, match="line 5 must be followed by the other image"):
        read_pairs(text + "Bob_0002.jpg 1\n", "p")
