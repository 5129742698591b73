"""The page of an evaluation, from figures and scores."""

import html
import re

import numpy as np
import pytest

from facemill.model.protocols.lfw import PairList, parse_pairs
from facemill.pipelines.evaluate import report
from facemill.pipelines.evaluate.pairs import evaluate_pairs

FOLDS = (
    "2\t2\n"
    "Ann\t1\t2\nAnn\t1\t3\nAnn\t1\tBob\t1\nAnn\t2\tBob\t2\n"
    "Bob\t1\t2\nBob\t1\t3\nAnn\t3\tBob\t3\nAnn\t1\tBob\t2\n"
)
SCORES = [0.9, 0.8, 0.1, 0.2, 0.7, 0.95, 0.3, 0.05]


def text(markup: str) -> str:
    """The text of the page, without images and styles."""
    without = re.sub(r"<(style|svg)\b.*?</\1>", " ", markup, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", without)).split())


def results_of(pairs: PairList, scores: np.ndarray) -> dict:
    """Figures as `results.json` holds them."""
    lost = int(np.isinf(scores).sum())
    acquired = {"images": 6, "failed": lost, "rate": lost / 6}
    figures = evaluate_pairs(pairs, scores)
    return {"model_id": "abcdef0123456789" * 4, "failure_to_acquire": acquired, **figures}


@pytest.fixture
def pairs() -> PairList:
    return parse_pairs(FOLDS, "pairs.txt")


def test_percent_has_two_decimals():
    assert [report.percent(share) for share in (0, 0.976833, 1)] == [
        "0.00 %",
        "97.68 %",
        "100.00 %",
    ]


def test_an_equal_error_rate_that_does_not_exist_is_none():
    assert report.rate_text({"rate": None}) == "none"
    assert report.rate_text({"rate": 0.0125}) == "1.25 %"


def test_failures_and_accuracy_as_text():
    results = {
        "failure_to_acquire": {"images": 7701, "failed": 3, "rate": 3 / 7701},
        "accuracy": {"mean": 0.97683, "standard_error": 0.0051},
    }
    assert report.failures_text(results) == "3 of 7,701 images (0.04 %)"
    assert report.accuracy_text(results) == "97.68 % ± 0.51"


def test_the_page_shows_figures_folds_and_the_model(pairs):
    scores = np.array(SCORES)
    page = report.render(results_of(pairs, scores), pairs, scores)
    seen = text(page)
    assert "View 2; model abcdef012345" in seen
    assert "abcdef0123456" not in seen
    assert "4 genuine and 4 impostor pairs." in seen
    assert "± 0.00 standard error over 2 folds" in seen.replace("\N{NO-BREAK SPACE}", " ")
    assert "where FMR and FNMR are equal" in seen
    assert "not supported by 4 impostor pairs" in seen
    assert page.count("<svg") >= 3
    assert "acquire" not in seen


def test_hardest_pairs_are_sorted_from_the_worst(pairs):
    scores = np.array(SCORES)
    seen = text(report.render(results_of(pairs, scores), pairs, scores))
    _, genuine, impostor = re.split("Genuine pairs with the lowest|Impostor pairs with the", seen)
    number = r"\b0\.\d{4}\b"
    assert re.findall(number, genuine) == ["0.7000", "0.8000", "0.9000", "0.9500"]
    assert re.findall(number, impostor)[:4] == ["0.3000", "0.2000", "0.1000", "0.0500"]
    assert "Bob_0001 Bob_0002 0.7000" in genuine
    assert "Ann_0003 Bob_0003 0.3000" in impostor


def test_at_most_twelve_hardest_pairs_of_a_kind():
    lines = [f"P\t{n}\t{n + 1}" for n in range(1, 31)]
    lines += [f"P\t{n}\tQ\t{n}" for n in range(1, 31)]
    pairs = parse_pairs("30\n" + "\n".join(lines) + "\n", "pairs.txt")
    scores = np.linspace(0.4, 0.6, 60)[::-1].copy()
    seen = text(report.render(results_of(pairs, scores), pairs, scores))
    _, genuine, impostor = re.split("Genuine pairs with the lowest|Impostor pairs with the", seen)
    assert len(re.findall(r"P_\d{4} P_\d{4}", genuine)) == 12
    assert len(re.findall(r"P_\d{4} Q_\d{4}", impostor)) == 12


def test_pairs_without_embeddings_are_counted_and_shown_as_missing(pairs):
    scores = np.array([-np.inf, *SCORES[1:]])
    seen = text(report.render(results_of(pairs, scores), pairs, scores))
    assert "1 of them without both embeddings, counted as rejected." in seen
    assert "1 of 6 images (16.67 %) have no embedding" in seen
    assert "Over the 3 genuine and 4 impostor pairs that were compared" in seen
    assert "where FAR and FRR are equal" in seen
    assert "Ann_0001 Ann_0002 missing" in seen


def test_names_are_escaped(pairs):
    odd = parse_pairs(FOLDS.replace("Ann", "<b>Ann"), "pairs.txt")
    scores = np.array(SCORES)
    page = report.render(results_of(odd, scores), odd, scores)
    assert "<b>" not in page
    assert "<b>Ann_0001" in html.unescape(page)


def test_the_same_arguments_give_the_same_page(pairs):
    scores = np.array(SCORES)
    results = results_of(pairs, scores)
    assert report.render(results, pairs, scores) == report.render(results, pairs, scores)
