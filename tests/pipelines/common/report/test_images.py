"""Sheets of thumbnails: embedding, captions, the choice between two orders."""

import re

import cv2
import numpy as np
import pytest

from facemill.pipelines.common.report import images
from facemill.pipelines.common.report.style import CSS

JPEG = b"\xff\xd8\xff\xe0"


def group(title: str, **options) -> images.Group:
    return images.Group(title, [images.Thumbnail(JPEG, f"of {title}")], **options)


def test_thumbnails_are_jpeg_data_uris() -> None:
    group = images.Group("g", [images.Thumbnail(b"\xff\xd8\xff\xe0", "c")])
    assert 'src="data:image/jpeg;base64,/9j/4A=="' in images.sheet([group])
    with pytest.raises(ValueError, match="JPEG"):
        images.Thumbnail(b"GIF89a", "c")


def test_encode_shrinks_in_proportion_and_keeps_colors() -> None:
    pixels = np.zeros((100, 200, 3), np.uint8)
    pixels[:, :, 0] = 250
    shown = cv2.imdecode(np.frombuffer(images.encode(pixels, 50), np.uint8), cv2.IMREAD_COLOR)
    assert shown.shape == (25, 50, 3)
    assert shown[12, 25].tolist() == pytest.approx([0, 0, 250], abs=6)
    with pytest.raises(ValueError, match="uint8"):
        images.encode(pixels[:, :, 0])


def test_the_full_name_is_the_alternative_text() -> None:
    tile = images.Thumbnail(JPEG, "1.jpg", full_name="a/<b>/1.jpg")
    text = images.sheet([images.Group("", [tile])])
    assert 'alt="a/&lt;b&gt;/1.jpg"' in text
    assert "<figcaption>1.jpg</figcaption>" in text
    assert 'alt="c"' in images.sheet([images.Group("", [images.Thumbnail(JPEG, "c")])])


def test_groups_have_the_classes_of_their_orders_and_their_rank() -> None:
    groups = [group("a"), group("b", rank=1), group("c", rank=0, is_first=False)]
    text = images.sheet(groups, "copies", ("by name", "by <rank>"))
    shown = re.findall(r'<div class="group ([^"]+)"(?: style="--rank: (\d+)")?>', text)
    assert shown == [("first", ""), ("first second", "1"), ("second", "0")]
    choices = re.findall(r'name="copies" class="([^"]+)"( checked)?> ([^<]+)</label>', text)
    assert choices == [("order-1", " checked", "by name"), ("order-2", "", "by &lt;rank&gt;")]
    # The style sheet is what makes the choice work.
    for rule in ("order-1:checked", "order-2:checked", ":not(.first)", ":not(.second)", "--rank"):
        assert rule in CSS


def test_without_orders_there_is_no_choice() -> None:
    assert "<input" not in images.sheet([group("a")])
    for name, orders in (("", ("a", "b")), ("x", ("a",)), ("x", ("a", "b", "c"))):
        with pytest.raises(ValueError, match="two orders and a name"):
            images.sheet([], name, orders)


def test_a_strip_has_thumbnails_with_their_names_and_no_captions() -> None:
    text = images.strip([images.Thumbnail(JPEG, "a"), images.Thumbnail(JPEG, "b")])
    assert re.findall(r'alt="(.)"', text) == ["a", "b"]
    assert "figcaption" not in text


@pytest.mark.parametrize(
    ("name", "folder", "short"),
    [
        ("a/a_1.jpg", "a", "a_1.jpg"),
        ("a/a_1.jpg", "", "a_1.jpg"),
        ("a/1.jpg", "", "a/1.jpg"),
        ("x/a/1.jpg", "x", "a/1.jpg"),
        ("ab/1.jpg", "a", "ab/1.jpg"),
        ("1.jpg", "", "1.jpg"),
    ],
)
def test_a_caption_leaves_out_the_folder_of_the_title(name, folder, short):
    assert images.short_name(name, folder) == short


@pytest.mark.parametrize(
    ("caption", "shown"),
    [
        ("a_1.jpg", "a_1.jpg"),
        ("Aaron_Guiel_0001.jpg", "Aaron_<wbr>Guiel_<wbr>0001<wbr>.jpg"),
        ("<b>/copy of 0001.jpg", "&lt;b&gt;/<wbr>copy of 0001<wbr>.jpg"),
        ("photos/anna/anna/", "photos/<wbr>anna/<wbr>anna/"),
    ],
)
def test_a_long_caption_may_break_between_the_parts_of_a_name(caption, shown):
    text = images.sheet([images.Group("", [images.Thumbnail(JPEG, caption)])])
    assert f"<figcaption>{shown}</figcaption>" in text
