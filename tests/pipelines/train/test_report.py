import dataclasses
import re

import numpy as np
import pytest

from facemill.model.data.augmented_examples import Example
from facemill.model.data.validation_pairs import Pairs, Scores
from facemill.model.recipes.recipe import Recipe
from facemill.model.training.history import History
from facemill.pipelines.common.report import images
from facemill.pipelines.train import report

DATASET = {
    "splits": {
        "train": {"records": 1234, "identities": 56},
        "val": {"records": 99, "identities": 7},
    },
    "counts": {
        **{"listed": 1500, "kept": 1333, "duplicate": 101},
        **{"conflict": 22, "rejected": 33, "dropped": 11},
    },
    "balance": {"identity": {"before": {"20": 63}, "after": {"19": 63}}},
    "preprocessing": {"image_size": 112, "align": "center", "crop_fraction": 1.0},
    "held_out": None,
}
PIXELS = np.random.default_rng(3).integers(0, 256, (4, 24, 24, 3), np.uint8)
EXAMPLES = [Example("id1/id1_<7>.jpg", PIXELS[0], PIXELS[1:])]


@pytest.fixture
def history(tmp_path):
    """A thousand steps: more than a chart shows."""
    made = History(str(tmp_path))
    losses = [20.0 * 0.99**step for step in range(1000)]
    made.add_steps(0, losses, [0.1 * (1 - step / 1000) for step in range(1000)])
    made.add_validation(500, {"accuracy": 0.75, "equal_error_rate": 0.25})
    made.add_validation(1000, {"accuracy": 0.875, "equal_error_rate": 0.125})
    return made


@pytest.fixture
def scores():
    draw = np.random.default_rng(1)
    return Scores(draw.normal(0.6, 0.1, 80), draw.normal(0.1, 0.1, 80))


@pytest.fixture
def pairs():
    """80 pairs of each kind, of images that are named after the pair and the side."""
    encoded = [images.encode(pixels) for pixels in PIXELS]
    count = 80
    names = [f"{kind}{row}/{side}" for kind in "gi" for row in range(count) for side in (1, 2)]
    rows = np.arange(4 * count).reshape(2, count, 2)
    return Pairs(
        [encoded[index % 4] for index in range(4 * count)],
        rows[0],
        rows[1],
        names,
        [name.split("/")[0] for name in names],
    )


def shown(page: str, title: str) -> str:
    (found,) = re.findall(rf"<h2[^>]*>{title}</h2>(.*?)</section>", page, re.DOTALL)
    return found


def described(**metrics: float) -> dict:
    return {
        "recipe": dataclasses.asdict(Recipe(steps=1000)),
        "model_id": "0123456789abcdef",
        "metrics": {"loss": 1.2345, **metrics},
    }


def test_the_page_has_the_curves_and_the_figures(history, scores, pairs):
    manifest = described(accuracy=0.875, equal_error_rate=0.125)
    page = report.render(manifest, history, scores, pairs, DATASET, EXAMPLES)
    assert page.count("<svg") >= 5
    for text in (
        "0123456789ab",
        "1,234",
        "56",
        "1.2345",
        "87.50 %",
        "12.50 %",
        "Learning rate",
        "Pair accuracy",
        "Receiver operating characteristic",
        "80 genuine and 80 impostor pairs",
        "mobilefacenet",
    ):
        assert text in page
    assert report.render(manifest, history, scores, pairs, DATASET, EXAMPLES) == page


def test_without_validation_the_page_shows_the_learning_curves_alone(history):
    history.validation.clear()
    page = report.render(described(), history, None, None, DATASET, [])
    assert "Learning rate" in page
    assert "Receiver operating characteristic" not in page
    assert "Pair accuracy" not in page
    assert "Hardest" not in page
    assert "Augmented" not in page


def test_a_run_of_one_step_can_be_shown(tmp_path, scores):
    short = History(str(tmp_path))
    short.add_steps(0, [3.0], [0.1])
    page = report.render(described(), short, None, None, DATASET, [])
    assert page.count("<svg") >= 2


def test_points_are_means_over_equal_numbers_of_steps(history):
    loss, *_ = (str(chart) for chart in report._curves(history))
    # 1,000 steps, two for each point: the first mean is of the first two losses.
    assert f"From {20 * (1 + 0.99) / 2:.3g} to" in loss


def test_the_recipe_is_shown_in_words_with_the_length_that_was_used(history):
    page = report.render(described(), history, None, None, DATASET, [])
    assert re.search(r"<td>steps</td>\s*<td class=\"number\">1,000</td>", page)
    assert "<td>epochs</td>" not in page
    assert re.search(r"<td>learning rate</td>\s*<td class=\"number\">0.1</td>", page)
    assert re.search(r"<td>flip average</td>\s*<td class=\"number\">no</td>", page)
    assert "None" not in page
    by_epochs = {**described(), "recipe": dataclasses.asdict(Recipe())}
    page = report.render(by_epochs, history, None, None, DATASET, [])
    assert "<td>epochs</td>" in page
    assert "<td>steps</td>" not in page


def test_the_hardest_pairs_are_shown_as_crops_the_worst_first(history, scores, pairs):
    page = report.render(described(), history, scores, pairs, DATASET, EXAMPLES)
    for title, kind, order in (
        ("Hardest genuine pairs", "g", np.argsort(scores.genuine)),
        ("Hardest impostor pairs", "i", np.argsort(-scores.impostor)),
    ):
        text = shown(page, title)
        names = re.findall(r'alt="([^"]+)"', text)
        assert names == [f"{kind}{row}/{side}" for row in order[:12] for side in (1, 2)]
        values = scores.genuine if kind == "g" else scores.impostor
        assert re.findall(r"<h3>cosine ([^<]+)</h3>", text) == [
            f"{values[row]:.3f}" for row in order[:12]
        ]


def test_a_pair_is_wrong_by_the_threshold_of_the_accuracy(history, pairs):
    genuine, impostor = np.linspace(0.4, 0.9, 80), np.linspace(-0.5, 0.35, 80)
    genuine[0], impostor[-1] = 0.1, 0.95
    page = report.render(described(), history, Scores(genuine, impostor), pairs, DATASET, [])
    verdicts = re.findall(
        r'<p class="quiet">(wrong|right)</p>', shown(page, "Hardest genuine pairs")
    )
    assert verdicts == ["wrong"] + ["right"] * 11
    for title in ("Hardest genuine pairs", "Hardest impostor pairs"):
        assert "1 of 80 are wrong." in shown(page, title)
    assert "The 12 hardest are shown." in shown(page, "Hardest impostor pairs")


def test_the_page_has_the_figures_of_the_dataset(history):
    page = report.render(described(), history, None, None, DATASET, [])
    text = shown(page, "Dataset")
    for label, value in (
        ("Kept", "1,333"),
        ("Duplicate", "101"),
        ("Rejected or dropped", "44"),
        ("Side", "112 px"),
    ):
        assert f'<dt>{label}</dt><dd class="value">{value}</dd>' in text
    assert re.search(r'<td>val</td>\s*<td class="number">7</td>\s*<td class="number">99</td>', text)
    assert re.search(r'<dt>Held-out set</dt><dd class="value">none</dd>', text)
    apart = {**DATASET, "held_out": {"listed": 1009}}
    text = shown(report.render(described(), history, None, None, apart, []), "Dataset")
    assert re.search(r'<dt>Held-out set</dt><dd class="value">1,009</dd>', text)


def test_augmented_examples_are_shown_beside_the_stored_crops(history):
    text = shown(
        report.render(described(), history, None, None, DATASET, EXAMPLES), "Augmented examples"
    )
    assert re.findall(r"<figcaption>([^<]+)<", text) == [
        *("as stored", "epoch 1", "epoch 2", "epoch 3")
    ]
    assert "id1_&lt;7&gt;.jpg" in text


def test_the_most_confused_identities_are_shown_with_their_images(history, pairs):
    identities = [f"id{row % 5}" for row in range(len(pairs.encoded))]
    named = dataclasses.replace(pairs, identities=identities)
    draw = np.random.default_rng(1)
    vectors = draw.normal(size=(len(identities), 4))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    scores = Scores(draw.normal(0.6, 0.1, 80), draw.normal(0.1, 0.1, 80), vectors)
    page = report.render(described(), history, scores, named, DATASET, [])
    text = shown(page, "Most confused identities")
    cosines = [float(one) for one in re.findall(r"<h3>mean cosine ([^<]+)</h3>", text)]
    assert len(cosines) == 10
    assert cosines == sorted(cosines, reverse=True)
    assert text.count("<img") == 10 * 4
    assert re.findall(r'<p class="quiet">(id\d and id\d)</p>', text)


def test_figures_stand_with_their_intervals(history):
    manifest = described(accuracy=0.875, **{"tar_at_fmr_0.01": 0.5})
    tar = {"far": 0.01, "supported": True, "tar": 0.5, "tar_95": [0.4, 0.6123]}
    unsupported = {"far": 0.001, "supported": False, "reason": "not supported by 60 pairs"}
    figures = {"accuracy": 0.875, "equal_error_rate": 0.1, "accuracy_95": [0.81234, 0.95]}
    counts = {"genuine": 60, "impostor": 60, "identities": 9, "shared_identities": 0}
    rows = {"tar_at_fmr": [unsupported, tar], **figures, **counts}
    other = {"accuracy_95": [0.1, 0.2], "tar_at_fmr": []}
    manifest["validation"] = [
        {"name": "val", "kind": "val", **rows},
        {"name": "other", "kind": "dataset", **rows, **other},
    ]
    text = shown(report.render(manifest, history, None, None, DATASET, []), "Result")
    assert "87.50 %" in text
    assert "95 %: 81.2–95.0 %" in text
    assert "95 %: 40.0–61.2 %" in text
    assert "10.0–20.0" not in text
    assert "TAR at FMR 0.01" in text


def test_tar_and_gradients_by_layer_have_curves(history):
    for row in history.validation:
        row["tar_at_fmr_0.01"] = row["accuracy"] / 2
    history.layers = ["conv2d 1", "conv2d 2", "dense"]
    history.add_gradients(0, {1: [0.1, 1.0, 10.0]})
    alone = "".join(map(str, report._curves(history)))
    assert "TAR at FMR 0.01" in alone
    assert "Gradient norms by layer" in alone
    assert "last steps" not in alone
    history.add_gradients(20, {21: [1e-6, 1.0, 10.0]})
    assert "last steps" in "".join(map(str, report._curves(history)))
