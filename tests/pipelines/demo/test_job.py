"""The demo's steps are real commands that fit together; its page links what they made.

The demo itself takes minutes, and is what a person runs first: these tests hold its parts.
"""

import argparse
import importlib
import json
import re
import subprocess
from pathlib import Path

import pytest

from facemill.pipelines.common.options import add_arguments, from_arguments
from facemill.pipelines.demo import job
from facemill.pipelines.demo.options import DemoOptions
from facemill.transforms.core.errors import RunError

OUTPUTS = ("photos", "unseen", "dataset", "model", "embeddings", "matches", "evaluation")


def parsed(step: job.Step):
    options = importlib.import_module(f"facemill.pipelines.{step.name}.options").OPTIONS
    parser = argparse.ArgumentParser(allow_abbrev=False, exit_on_error=False)
    add_arguments(parser, options)
    return from_arguments(options, parser.parse_args(step.arguments))


def test_the_steps_have_arguments_that_their_commands_accept():
    steps = job.steps("/demo")
    assert [step.name for step in steps] == [
        *("synthesize", "synthesize", "ingest", "train", "score", "match", "evaluate")
    ]
    options = [parsed(step) for step in steps]
    assert [one.output for one in options] == [f"/demo/{name}" for name in OUTPUTS]
    photos, unseen, ingest, train, score, match, evaluate = options
    assert ingest.input == f"{photos.output}/images"
    assert train.dataset == (ingest.output,)
    assert (score.input, score.model) == (f"{unseen.output}/images", train.output)
    assert match.probes == match.gallery == score.output
    assert evaluate.embeddings == score.output
    assert str(evaluate.pairs) == f"{unseen.output}/pairs.txt"
    assert unseen.recipe.pairs


def test_training_and_evaluation_share_no_identity():
    photos, unseen = (parsed(step).recipe for step in job.steps("/demo")[:2])
    assert photos.seed == unseen.seed, "ranges of two seeds may meet"
    seen = range(photos.start_identity, photos.start_identity + photos.identities)
    assert unseen.start_identity not in seen
    assert unseen.start_identity + unseen.identities - 1 not in seen


@pytest.fixture
def made(tmp_path) -> Path:
    """What the steps leave, as far as the page reads it."""
    manifests = {
        "dataset/manifest.json": {"counts": {"listed": 6044, "kept": 5753}},
        "model/manifest.json": {"counts": {"identities": 384}},
        "embeddings/manifest.json": {"counts": {"scored": 1000}},
        "matches/manifest.json": {"metrics": {"named": 1000, "right": 990}},
        "evaluation/results.json": {"accuracy": {"mean": 0.96583}},
    }
    for name, content in manifests.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(json.dumps(content))
        (tmp_path / name).with_name("report.html").write_text("<p>a report</p>")
    return tmp_path


def test_the_page_links_the_reports_by_relative_paths(made):
    page = job.render(str(made), [1.25] * 7)
    links = re.findall(r'href="([^"]+)"', page)
    reports = [link for link in links if not link.startswith(("#", "data:"))]
    assert [link.removeprefix("./") for link in reports] == [
        f"{name}/report.html" for name in ("dataset", "model", "matches", "evaluation")
    ]
    assert all((made / link).is_file() for link in reports)
    assert not re.search(r"https?://(?!www\.w3\.org/)", page)


def test_the_page_states_the_figures(made):
    page = job.render(str(made), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 61.26])
    for figure in ("96.58 %", "6,044", "5,753 kept", "384", "1,000", "61.3"):
        assert figure in page
    for step in job.steps(str(made)):
        assert step.summary in page


def test_a_step_that_fails_ends_the_demo(tmp_path, monkeypatch, capsys):
    ran = []

    def run(command, check):
        ran.append(command[3])
        return subprocess.CompletedProcess(command, 1 if command[3] == "ingest" else 0)

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(RunError, match="`facemill ingest` ended with 1"):
        job.run(DemoOptions(str(tmp_path / "demo")), [])
    assert ran == ["synthesize", "synthesize", "ingest"]
    assert not (tmp_path / "demo" / "report.html").exists()
    assert "$ facemill ingest --input" in capsys.readouterr().out
