"""The threshold that --threshold or --fmr asks for."""

import json
from pathlib import Path

import pytest

from facemill.pipelines.common.thresholds import strictest, threshold
from facemill.transforms.core.errors import UsageError

MODEL = "a" * 64


def make_model(path: Path, thresholds: dict | None, model_id: str = MODEL) -> str:
    path.mkdir()
    manifest = {"kind": "model", "schema_version": 1, "model_id": model_id}
    if thresholds is not None:
        manifest["thresholds"] = thresholds
    (path / "manifest.json").write_text(json.dumps(manifest))
    return str(path)


def make_embeddings(path: Path, model: str) -> str:
    path.mkdir()
    (path / "run.json").write_text(json.dumps({"inputs": {"model": model}}))
    return str(path)


def test_a_given_threshold_needs_no_model():
    assert threshold(0.25, None, None, MODEL, ["nowhere"]) == 0.25
    assert threshold(None, None, None, MODEL, ["nowhere"]) is None


@pytest.mark.parametrize(("fmr", "value"), [(0.01, 0.3), (1e-4, 0.5)])
def test_a_rate_takes_the_threshold_of_the_model(tmp_path, fmr, value):
    model = make_model(tmp_path / "m", {"0.01": 0.3, "0.0001": 0.5})
    embeddings = make_embeddings(tmp_path / "e", model)
    assert threshold(None, fmr, None, MODEL, ["nowhere", embeddings]) == value
    assert threshold(None, fmr, model, MODEL, ["nowhere"]) == value


@pytest.mark.parametrize(
    ("thresholds", "model_id", "message"),
    [
        ({"0.01": 0.3}, MODEL, r"states a threshold \(0.01\), got 0.001 for"),
        ({}, MODEL, "states none; measure one with"),
        (None, MODEL, "states none; measure one with"),
        ({"0.001": 0.3}, "b" * 64, "must be the one that made the embeddings"),
    ],
)
def test_a_rate_without_a_threshold_is_refused(tmp_path, thresholds, model_id, message):
    model = make_model(tmp_path / "m", thresholds, model_id)
    with pytest.raises(UsageError, match=message):
        threshold(None, 0.001, model, MODEL, ["nowhere"])


def test_embeddings_that_do_not_name_their_model_are_refused(tmp_path):
    embeddings = make_embeddings(tmp_path / "e", str(tmp_path / "gone"))
    with pytest.raises(UsageError, match="does not say where that is; give --model"):
        threshold(None, 0.001, None, MODEL, [embeddings])


def test_the_strictest_threshold_is_that_of_the_lowest_rate(tmp_path):
    model = make_model(tmp_path / "m", {"0.01": 0.3, "0.0001": 0.5, "0.1": 0.1})
    assert strictest(model, MODEL, ["nowhere"]) == (0.5, "0.0001")
    with pytest.raises(UsageError, match=r"--threshold must come from the model .* give --model"):
        strictest(None, MODEL, ["nowhere"])
