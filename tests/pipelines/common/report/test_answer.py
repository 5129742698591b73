"""The answer at the top of a report: what decides it, and commands that can be copied."""

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facemill.pipelines.common.report import answer
from facemill.pipelines.common.report.answer import Command, Finding

words = st.text("abc<&\"'", min_size=1, max_size=5)


@pytest.mark.parametrize(
    ("levels", "decides"),
    [
        ([], "good"),
        (["good", "open"], "good"),
        (["good", "check", "open"], "check"),
        (["check", "stop", "good"], "stop"),
    ],
)
def test_the_gravest_level_decides(levels: list, decides: str) -> None:
    assert answer.worst([Finding(level, "x") for level in levels]) == decides


def test_each_finding_has_a_word_and_is_escaped() -> None:
    levels = ("good", "check", "stop", "open")
    text = answer.findings([Finding(level, "<b>") for level in levels])
    assert re.findall(r'class="badge [a-z]+">([^<]+)<', text) == [
        "ok",
        "check",
        "stop",
        "not checked",
    ]
    assert text.count("&lt;b&gt;") == 4
    assert "&lt;b&gt;" in answer.verdict("good", "<b>")


@given(words, st.lists(st.tuples(words, words), max_size=5))
def test_a_command_that_is_copied_from_the_page_is_the_command(first: str, flags: list) -> None:
    line = " ".join([first, *(f"--{flag} {value}" for flag, value in flags)])
    text = answer.commands([Command("why", line)])
    (code,) = re.findall("<code>(.*?)</code>", text, re.DOTALL)
    assert html.unescape(re.sub("<[^>]+>", "", code)) == line


def test_a_step_without_a_command_has_no_empty_box() -> None:
    text = answer.commands([Command("look")], "a note")
    assert "<pre" not in text
    assert "a note" in text
    assert 'class="quiet"' not in answer.commands([Command("look")])


def test_columns_have_their_headings() -> None:
    text = answer.columns([("a <b>", answer.verdict("good", "x")), ("c", answer.findings([]))])
    assert re.findall("<h3>([^<]+)</h3>", text) == ["a &lt;b&gt;", "c"]
