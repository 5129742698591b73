"""The page: escaping, determinism, nothing from the network, no shared ids."""

import re

import cv2
import numpy as np
import pytest

from facemill.pipelines.common.report import charts, figures, images, page, tables


def test_names_are_escaped_everywhere() -> None:
    evil = "<script>x</script>"
    text = page.render(
        evil,
        [page.Section(evil, [evil, tables.table([evil], [[evil]], evil)], evil)],
        evil,
    )
    assert "<script>" not in text
    assert "&lt;script&gt;" in text


def test_a_name_that_is_not_utf8_can_be_written() -> None:
    assert b"\\udcff" in page.render("a\udcff", []).encode("utf-8")


def test_a_page_repeats_and_shares_no_id_and_loads_nothing() -> None:
    def make() -> str:
        curves = [charts.Series("a", [0.1, 0.2], [0.3, 0.4])]
        drawn = [charts.line(name, "x", "y", curves, "alt") for name in ("one", "two")]
        sections = [page.Section(name, [charts.beside(drawn)]) for name in ("s", "t")]
        return page.render("t", sections)

    text = make()
    assert re.findall(r' id="([^"]+)"', text) == ["section-1", "section-2"]
    assert make() == text
    assert "http:" not in text
    assert "https:" not in text


def test_table_formats_numbers_and_refuses_a_ragged_row() -> None:
    text = tables.table(["a", tables.Column("n", True)], [["x", 1234567]])
    assert '<td class="number">1,234,567</td>' in text
    with pytest.raises(ValueError, match="2 cells, got 1"):
        tables.table(["a", "b"], [["x"]])


def test_links_stay_below_the_report() -> None:
    assert 'href="./a%3Ab/report.html"' in figures.links([figures.Link("a:b/report.html", "x")])
    for path in ("/etc/passwd", "../x", "a/../../x"):
        with pytest.raises(ValueError, match="relative path"):
            figures.Link(path, "x")


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
