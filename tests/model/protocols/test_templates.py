import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facemill.model.protocols.templates import (
    make_templates,
    parse_media,
    parse_template_pairs,
    score_pairs,
)
from facemill.transforms.core.errors import UsageError

MEDIA = b"1.jpg 1 7\n2.jpg 1 8\n3.jpg 1 8\n4.jpg 2 7\n5.jpg 10 9\n"
PAIRS = b"1 2 1\n1 10 0\n"


def test_a_medium_counts_once_however_many_frames_it_has():
    media = parse_media(MEDIA, "m")
    assert media.templates == ["1", "10", "2"]
    vectors = np.eye(5, dtype=np.float32)
    rows = {f"{n + 1}.jpg": n for n in range(5)}
    made = make_templates(media, rows, vectors)
    # Template 1: its photo, and the mean of two frames.
    assert made[0] == pytest.approx(np.array([1, 0.5, 0.5, 0, 0]) / np.sqrt(1.5))
    assert made[1].tolist() == [0, 0, 0, 0, 1]
    assert np.linalg.norm(made, axis=1) == pytest.approx(1)


def test_images_without_embedding_are_left_out_and_a_template_without_any_is_not_compared():
    media = parse_media(MEDIA, "m")
    made = make_templates(media, {"2.jpg": 0, "4.jpg": 1}, np.eye(2, dtype=np.float32))
    assert made.tolist() == [[1, 0], [0, 0], [0, 1]]
    pairs = parse_template_pairs(PAIRS, "p", media)
    assert score_pairs(pairs, made).tolist() == [0, -np.inf]
    assert not make_templates(media, {}, np.eye(2, dtype=np.float32)).any()
    opposite = np.array([[1, 0], [-1, 0]], np.float32)
    rows = {"1.jpg": 0, "2.jpg": 1}
    assert not make_templates(media, rows, opposite).any()


@given(st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_the_order_of_lines_does_not_matter(seed):
    draw = np.random.default_rng(seed)
    lines = [f"{n}.jpg t{draw.integers(4)} m{draw.integers(3)}".encode() for n in range(12)]
    vectors = draw.normal(size=(12, 3)).astype(np.float32)
    rows = {f"{n}.jpg": n for n in range(12)}
    first = parse_media(b"\n".join(lines), "m")
    draw.shuffle(lines)
    other = parse_media(b"\r\n".join(lines) + b"\n", "m")
    assert first.templates == other.templates
    assert (make_templates(first, rows, vectors) == make_templates(other, rows, vectors)).all()


@pytest.mark.parametrize("mark", [b" ", b",", b"\t"])
def test_pairs_are_read_with_any_mark(mark):
    media = parse_media(MEDIA.replace(b" ", mark), "m")
    pairs = parse_template_pairs(PAIRS.replace(b" ", mark), "p", media)
    assert pairs.left.tolist() == [0, 0]
    assert pairs.right.tolist() == [2, 1]
    assert pairs.genuine.tolist() == [True, False]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "p must have two templates and 1 or 0 in each line, but it is empty"),
        (b"1 2\n", "p must have two templates and 1 or 0 in each line, got: CSV parse error"),
        (b"1 2 1\n1 2\n", "in each line, got: CSV parse error"),
        (
            b"1 2 1\n1 3 0\n",
            "p, pair 2 must name templates of the list of images, which has no '3'",
        ),
        (b"1 2 1\n1 10 x\n", "p, pair 2 must say by 1 or 0"),
        (b"1 2 1\n1 10 1\n", "p must have genuine and impostor pairs, got 2 genuine of 2"),
        (b"\xff\xfe\x00 1 1\n", "p must have two templates"),
    ],
)
def test_other_files_are_refused(data, said):
    with pytest.raises(UsageError, match=said):
        parse_template_pairs(data, "p", parse_media(MEDIA, "m"))


def test_a_line_of_names_above_the_columns_is_passed_over():
    plain = parse_media(MEDIA, "m")
    named = parse_media(b"\xef\xbb\xbfimage template Medium\r\n" + MEDIA, "m")
    assert named.images == plain.images
    assert named.medium.tolist() == plain.medium.tolist()
    pairs = parse_template_pairs(b"left right label\n" + PAIRS, "p", plain)
    assert pairs.genuine.tolist() == [True, False]


@pytest.mark.parametrize(
    ("data", "what"),
    [(b"1.jpg,1,7\n2.jpg,1,\n", "medium"), (b"1.jpg,1,7\n2.jpg, ,8\n", "template")],
)
def test_an_image_without_medium_or_template_is_refused(data, what):
    # Two images without a medium would count as frames of one video.
    with pytest.raises(UsageError, match=f"^m, entry 2 must have .*, but its {what} is empty; "):
        parse_media(data, "m")


def test_an_empty_list_of_images_is_refused():
    with pytest.raises(UsageError, match="m must have an image, a template and a medium in each"):
        parse_media(b"\n\n", "m")
