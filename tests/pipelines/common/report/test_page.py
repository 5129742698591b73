"""The page: escaping, determinism, nothing from the network, no shared ids."""

import re

import pytest

from facemill.pipelines.common.report import charts, figures, page, tables


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


def test_the_table_of_contents_links_every_section_of_a_longer_page() -> None:
    def make(count: int) -> str:
        return page.render("t", [page.Section(f"part <{n}>", []) for n in range(count)])

    text = make(4)
    links = re.findall(r'<a href="#([^"]+)">([^<]+)</a>', text)
    heads = re.findall(r'<h2 id="([^"]+)">([^<]+)</h2>', text)
    assert links == heads
    assert len(links) == 4
    assert "<nav" not in make(3)


def test_the_page_lets_no_script_run() -> None:
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page.render("t", []))
    assert policy is not None
    assert "default-src &#39;none&#39;" in policy.group(1)
    assert "script" not in policy.group(1)
