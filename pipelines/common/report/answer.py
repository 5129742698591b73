"""The answer at the top of a report: a sentence, the findings behind it, and what to do next."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from facemill.pipelines.common.report.markup import Markup, fill

Level = Literal["good", "check", "stop", "open"]

# The words carry the meaning; the colors only repeat it.
_WORDS = {"good": "ok", "check": "check", "stop": "stop", "open": "not checked"}
_VERDICT = '<p class="verdict {{ level }}">{{ text }}</p>'
_FINDINGS = """<ul class="findings">
{% for item in items %}
<li><span class="badge {{ item.level }}">{{ words[item.level] }}</span>
<span>{{ item.text }}</span></li>
{% endfor %}
</ul>"""
_COMMANDS = """<ol class="commands">
{% for item in items %}
<li><p>{{ item.why }}</p>
{%- if item.line %}<pre><code>
{%- for part in item.parts %}<span>{{ part }}</span>
{%- if not loop.last %} {% endif %}
{%- endfor %}</code></pre>{% endif %}</li>
{% endfor %}
</ol>
{%- if note %}<p class="quiet">{{ note }}</p>{% endif %}"""
_COLUMNS = """<div class="columns">
{% for title, block in parts %}
<div><h3>{{ title }}</h3>
{{ block }}
</div>
{% endfor %}
</div>"""


@dataclass(frozen=True)
class Finding:
    """A check, made or not: its level, and a sentence."""

    level: Level
    text: str


@dataclass(frozen=True)
class Command:
    """A next step: its reason, and the command line, or "" where there is none."""

    why: str
    line: str = ""

    @property
    def parts(self) -> list[str]:
        """The line in parts that a narrow page must not break: each flag with its value."""
        first, *flags = self.line.split(" --")
        return [first, *(f"--{flag}" for flag in flags)]


def verdict(level: Level, text: str) -> Markup:
    """The answer in one sentence."""
    return fill(_VERDICT, level=level, text=text)


def findings(items: Sequence[Finding]) -> Markup:
    """The list of findings, each with the word of its level."""
    return fill(_FINDINGS, items=items, words=_WORDS)


def commands(items: Sequence[Command], note: str = "") -> Markup:
    """The list of next steps in order, and a quiet line below it, or none for ""."""
    return fill(_COMMANDS, items=items, note=note)


def columns(parts: Sequence[tuple[str, Markup]]) -> Markup:
    """Blocks with small headings side by side, one under the other on a phone."""
    return fill(_COLUMNS, parts=parts)


def worst(items: Sequence[Finding]) -> Level:
    """The gravest level: stop before check before good; "open" findings have no effect."""
    levels = {item.level for item in items}
    return "stop" if "stop" in levels else "check" if "check" in levels else "good"
