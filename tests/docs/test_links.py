"""Links between the pages, also those that a rendered site does not have, lead somewhere."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md", ROOT / "CHANGELOG.md"]
_LINK = re.compile(r"\]\((?!https?://|mailto:)([^)\s]+)\)")


def anchors(page: Path) -> set[str]:
    """The anchors that headings of a page have."""
    headings = re.findall(r"^#+ +(.+?)\s*$", page.read_text("utf-8"), re.M)
    plain = (re.sub(r"[^\w\- ]", "", heading).strip().lower() for heading in headings)
    return {re.sub(r"[ \-]+", "-", heading) for heading in plain}


def broken(page: Path) -> list[str]:
    """Links of a page to files or headings that are not there."""
    found = []
    for link in _LINK.findall(page.read_text("utf-8")):
        path, _, anchor = link.partition("#")
        target = (page.parent / path) if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            found.append(link)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_of_a_page_lead_somewhere(page):
    assert broken(page) == []


def test_broken_links_are_seen(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# One word\n[a](page.md#one-word) [b](#two) [c](gone.md) [d](https://x.y)")
    assert broken(page) == ["#two", "gone.md"]


def test_every_page_stands_in_the_navigation():
    navigation = (ROOT / "mkdocs.yml").read_text("utf-8")
    listed = set(re.findall(r"[\w-]+\.md", navigation))
    assert listed == {page.name for page in (ROOT / "docs").glob("*.md")}
