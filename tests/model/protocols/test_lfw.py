"""The LFW protocol: pairs files of both views, thresholds from other pairs, the standard error."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facemill.model.protocols import lfw
from facemill.transforms.core.errors import UsageError

VIEW_2 = "2\t1\nAnn\t1\t4\nAnn\t1\tBob\t12\nBob\t2\t3\nAnn\t2\tZoe\t1\n"
VIEW_1 = "2\nAnn\t1\t4\nBob\t2\t3\nAnn\t1\tBob\t12\nAnn\t2\tZoe\t1\n"


def make_list(genuine: list, fold: list, view: int = 2) -> lfw.PairList:
    pairs = [
        lfw.Pair(f"a/a_{i:04d}.jpg", f"b/b_{i:04d}.jpg", is_genuine, in_fold)
        for i, (is_genuine, in_fold) in enumerate(zip(genuine, fold, strict=True))
    ]
    return lfw.PairList(view, max(fold) + 1, tuple(pairs))


def test_view_2_has_folds() -> None:
    pairs = lfw.parse_pairs(VIEW_2, "pairs.txt")
    assert (pairs.view, pairs.folds) == (2, 2)
    assert pairs.pairs == (
        lfw.Pair("Ann/Ann_0001.jpg", "Ann/Ann_0004.jpg", True, 0),
        lfw.Pair("Ann/Ann_0001.jpg", "Bob/Bob_0012.jpg", False, 0),
        lfw.Pair("Bob/Bob_0002.jpg", "Bob/Bob_0003.jpg", True, 1),
        lfw.Pair("Ann/Ann_0002.jpg", "Zoe/Zoe_0001.jpg", False, 1),
    )
    assert len(pairs.images) == 7


def test_view_1_is_one_list() -> None:
    pairs = lfw.parse_pairs(VIEW_1.replace("\n", "\r\n") + "\n\n", "dev.txt")
    assert (pairs.view, pairs.folds) == (1, 1)
    assert pairs.genuine.tolist() == [True, True, False, False]
    assert pairs.fold.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "p.txt must be a pairs file, but it is empty"),
        ("ten\t300\n", r"p.txt, line 1 must be FOLDS and PAIRS .* got 'ten\\t300'"),
        ("1\t2\t3\n", "p.txt, line 1 "),
        ("0\t300\n", "p.txt, line 1 "),
        ("2\t1\nAnn\t1\t4\n", "p.txt must have 4 pairs after its first line.* got 1"),
        ("999999999\t999999999\nAnn\t1\t4\n", "got 1"),
        (VIEW_2.replace("Ann\t1\t4", "Ann\t1"), "line 2 must be a name and two different image"),
        (VIEW_2.replace("Ann\t1\t4", "Ann\t1\tx"), "line 2 must"),
        (VIEW_2.replace("Ann\t1\t4", "Ann\t0\t4"), "line 2 must"),
        (VIEW_2.replace("Ann\t1\t4", "Ann\t4\t4"), "line 2 must"),
        (VIEW_2.replace("Ann\t1\tBob\t12", "Ann\t1\t12"), "line 3 must be a name, an image number"),
        (VIEW_2.replace("Ann\t1\tBob\t12", "Ann\t1\tAnn\t2"), "line 3 must"),
        (VIEW_2.replace("Zoe\t1", "Zoe\t" + "9" * 5000), "line 5 must"),
        (VIEW_2.replace("Bob\t2\t3\n", "\n"), "must have 4 pairs .* got 3"),
    ],
)
def test_a_wrong_line_is_named(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        lfw.parse_pairs(text, "p.txt")
    assert len(str(caught.value)) < 400


def test_a_fold_is_judged_by_the_threshold_of_the_others() -> None:
    # With its own threshold, 0.4, fold 1 would be perfect; that of fold 2, 0.7, rejects its pair.
    pairs = make_list([True, False, True, False], [0, 0, 1, 1])
    accuracy = lfw.evaluate(pairs, np.array([0.5, 0.3, 0.8, 0.6]))
    assert [row.threshold for row in accuracy.folds] == pytest.approx([0.7, 0.4])
    assert [row.accuracy for row in accuracy.folds] == [0.5, 0.5]
    assert accuracy.mean == 0.5
    assert accuracy.standard_error == 0
    assert accuracy.threshold_from == "each fold's from the 1 other folds"


def test_standard_error_is_of_the_mean_over_folds() -> None:
    pairs = make_list([True, False] * 3, [0, 0, 1, 1, 2, 2])
    scores = np.array([0.9, 0.1, 0.9, 0.1, 0.0, 0.1])
    accuracy = lfw.evaluate(pairs, scores)
    assert [row.accuracy for row in accuracy.folds] == [1.0, 1.0, 0.5]
    spread = math.sqrt(((1 / 6) ** 2 * 2 + (1 / 3) ** 2) / 2)
    assert accuracy.mean == pytest.approx(5 / 6)
    assert accuracy.standard_error == pytest.approx(spread / math.sqrt(3))


def test_view_1_takes_the_threshold_of_the_development_pairs() -> None:
    test = make_list([True, True, False, False], [0] * 4, view=1)
    dev = make_list([True, False], [0, 0], view=1)
    scores = np.array([0.9, 0.6, 0.5, 0.1])
    accuracy = lfw.evaluate(test, scores, (dev, np.array([0.9, 0.7])))
    assert accuracy.mean == 0.75
    assert accuracy.folds == (lfw.Fold(1, 4, pytest.approx(0.8), 0.75),)
    assert accuracy.standard_error == pytest.approx(math.sqrt(0.75 * 0.25 / 4))
    assert "2 pairs of the threshold list" in accuracy.threshold_from


def test_view_1_alone_is_cut_into_ten_runs() -> None:
    test = make_list([True] * 20 + [False] * 20, [0] * 40, view=1)
    scores = np.concatenate([np.full(20, 0.8), np.full(20, 0.2)])
    accuracy = lfw.evaluate(test, scores)
    assert accuracy.mean == 1
    assert [row.pairs for row in accuracy.folds] == [4] * 10
    assert accuracy.threshold_from.endswith("9 other folds that this list was cut into")
    with pytest.raises(UsageError, match="two pairs of each class"):
        lfw.evaluate(make_list([True, False], [0, 0], view=1), np.array([1.0, 0.0]))


def test_a_pair_that_can_never_match_counts_as_not_matched() -> None:
    pairs = make_list([True, False] * 2, [0, 0, 1, 1])
    scores = np.array([-np.inf, -np.inf, 0.9, 0.1])
    accuracy = lfw.evaluate(pairs, scores)
    assert [row.accuracy for row in accuracy.folds] == [0.5, 0.5]
    assert all(math.isfinite(row.threshold) for row in accuracy.folds)


@settings(max_examples=50)
@given(st.data(), st.integers(2, 5), st.integers(1, 6))
def test_agrees_with_trying_every_threshold(data: st.DataObject, folds: int, size: int) -> None:
    genuine = np.array(([True] * size + [False] * size) * folds)
    fold = np.repeat(np.arange(folds), 2 * size)
    scores = np.array(
        data.draw(st.lists(st.integers(0, 8), min_size=len(fold), max_size=len(fold))), float
    )
    accuracy = lfw.evaluate(make_list(genuine.tolist(), fold.tolist()), scores)
    for row in accuracy.folds:
        rest = fold != row.number - 1
        right = ((scores >= row.threshold) == genuine)[rest].sum()
        tries = [((scores >= t) == genuine)[rest].sum() for t in np.arange(-0.5, 9.5)]
        assert right == max(tries)
        held_out = (scores >= row.threshold) == genuine
        assert row.accuracy == pytest.approx(held_out[~rest].mean())
