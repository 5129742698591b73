"""The shell of a report: one HTML page that loads nothing from the network."""

from collections.abc import Sequence
from dataclasses import dataclass

from facemill.pipelines.common.report.markup import Markup, fill
from facemill.pipelines.common.report.style import CSS

# The policy makes the browser itself enforce that nothing is loaded and no script runs.
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{{ policy }}">
<title>{{ title }}</title>
<style>{{ css }}</style>
</head>
<body{% if contents %} class="has-contents"{% endif %}>
<header>
<h1>{{ title }}</h1>
{% if subtitle %}
<p class="quiet">{{ subtitle }}</p>
{% endif %}
</header>
<div class="layout{% if contents %} wide{% endif %}">
{% if contents %}
<nav class="contents" aria-label="Contents">
<ol>
{% for section in sections %}
<li><a href="#section-{{ loop.index }}">{{ section.title }}</a></li>
{% endfor %}
</ol>
</nav>
{% endif %}
<main>
{% for section in sections %}
<section aria-labelledby="section-{{ loop.index }}">
<h2 id="section-{{ loop.index }}">{{ section.title }}</h2>
{% if section.note %}
<p class="quiet">{{ section.note }}</p>
{% endif %}
<div class="blocks">
{% for block in section.blocks %}
{{ block }}
{% endfor %}
</div>
</section>
{% endfor %}
</main>
</div>
<footer>Made by facemill. This page loads nothing from the network.</footer>
</body>
</html>
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
# A page of fewer sections shows all of them without a table of contents.
_FEWEST_LISTED = 4
_PARAGRAPH = "<p>{{ text }}</p>"


@dataclass(frozen=True)
class Section:
    """One heading and what stands under it.

    Attributes:
        title: the heading.
        blocks: what the block modules return; a plain `str` becomes an escaped paragraph.
        note: one quiet sentence under the heading, or "".
    """

    title: str
    blocks: Sequence[Markup | str]
    note: str = ""


def render(title: str, sections: Sequence[Section], subtitle: str = "") -> str:
    """The HTML page as text that is safe to encode as UTF-8.

    A page of four sections or more has a table of contents that stays in view. The same arguments
    give the same text: no time, host or version is in it.

    Args:
        title: the page's title and first heading.
        sections: shown in order.
        subtitle: one quiet line under the title, or "".
    """
    shown = [
        Section(section.title, [_block(block) for block in section.blocks], section.note)
        for section in sections
    ]
    text = fill(
        _PAGE,
        title=title,
        subtitle=subtitle,
        sections=shown,
        contents=len(shown) >= _FEWEST_LISTED,
        css=Markup(CSS),
        policy=_POLICY,
    )
    # File names that are not UTF-8 hold lone surrogates, which cannot be encoded.
    return str(text).encode("utf-8", "backslashreplace").decode("utf-8") + "\n"


def _block(block: Markup | str) -> Markup:
    return block if isinstance(block, Markup) else fill(_PARAGRAPH, text=block)
