"""The first screen of an ingest report: its answer, and the commands that it suggests."""

import argparse
import dataclasses
import re
import shlex
from typing import Any

import pytest

from facemill.pipelines.common.options import add_arguments
from facemill.pipelines.common.report import page
from facemill.pipelines.ingest import report_answer
from facemill.pipelines.ingest.checks import Checked
from facemill.pipelines.ingest.framings import Framing, Framings
from facemill.pipelines.ingest.held_out import HeldOut
from facemill.pipelines.ingest.options import IngestOptions
from facemill.pipelines.ingest.wide_conflicts import WideConflicts
from facemill.transforms.duplicates.notes import Notes

OPTIONS = IngestOptions("photos", "dataset")
FRAMINGS = Framings(Framing(1.0, 62_500), Framing(0.8, 40_000), False)
HELD_OUT = HeldOut(10, 10, 0, {}, 3, 4, 5, "abc")
GOOD = Checked(
    counts={
        **{"listed": 1000, "kept": 990, "duplicate": 10},
        **{"conflict": 0, "rejected": 0, "dropped": 0},
    },
    splits={
        "train": {"identities": 80, "records": 800, "shards": []},
        "val": {"identities": 10, "records": 90, "shards": []},
        "test": {"identities": 10, "records": 100, "shards": []},
    },
    balance={},
    files=[],
    source_fingerprint="",
    held_out=HELD_OUT,
    of_two={"train": 79, "val": 9, "test": 8},
    of_two_in_all=96,
)


def changed(**fields: Any) -> Checked:
    return dataclasses.replace(GOOD, **fields)


def answered(checked: Checked, options: IngestOptions = OPTIONS) -> str:
    section = report_answer.section(checked, options, [])
    return page.render("t", [section])


def verdict(checked: Checked, options: IngestOptions = OPTIONS) -> str:
    (found,) = re.findall(r'<p class="verdict ([a-z]+)">', answered(checked, options))
    return found


def commands(checked: Checked, options: IngestOptions = OPTIONS) -> list[str]:
    codes = re.findall("<code>(.*?)</code>", answered(checked, options), re.DOTALL)
    return [re.sub("<[^>]+>", "", code) for code in codes]


def test_a_clean_collection_is_ready():
    text = answered(GOOD)
    assert verdict(GOOD) == "good"
    assert "Yes." in text
    for label, value in (("Images kept", "990"), ("Identities with two or more", "96")):
        assert f'<dt>{label}</dt><dd class="value">{value}</dd>' in text
    assert "9 images were dropped, 4 by identity and 5 by photo" in text
    assert commands(GOOD)[0] == "facemill train --dataset DATASET --output MODEL"


@pytest.mark.parametrize(
    ("fields", "level", "said"),
    [
        ({"named": False}, "stop", "No image has an identity"),
        ({"of_two": {"train": 79, "val": 1}}, "check", "without validation"),
        ({"of_two": {"train": 3, "val": 9}}, "check", "3 of them with two images or more"),
        ({"counts": {**GOOD.counts, "conflict": 2}}, "check", "2 images show a photo that has"),
        (
            {"held_out": dataclasses.replace(HELD_OUT, framings=FRAMINGS)},
            "check",
            "Photos of the held-out set have another shape or size (median width",
        ),
        ({"wide": WideConflicts(1, 7, 6, 0, "a/1")}, "check", "One conflict spans 6 identities"),
        ({"counts": {**GOOD.counts, "rejected": 51}}, "check", "51 images were rejected, 5.1 %"),
        ({"counts": {**GOOD.counts, "rejected": 1}}, "good", "1 image was rejected, 0.1 %"),
        (
            {"contradictions": {"images": 4, "attributes": {"age": 1, "race": 3}}},
            "check",
            "4 duplicates have another value of an attribute than the image that is kept "
            "(3 race; 1 age)",
        ),
        ({"alike": Notes(2, 0)}, "good", "2 pairs of photos are alike"),
        ({"alike": Notes(0, 9)}, "good", "most similar of these were compared: same background?"),
        ({"in_two_splits": 1}, "check", "1 identity is in more than one split"),
        ({"held_out": None}, "good", "No held-out set was given"),
        (
            {"held_out": dataclasses.replace(HELD_OUT, usable=8)},
            "check",
            "2 of its 10 images could not be compared",
        ),
    ],
)
def test_findings_that_a_person_should_check_are_marked(fields, level, said):
    assert verdict(changed(**fields)) == level
    assert said in answered(changed(**fields))


def test_one_identity_cannot_be_trained_on():
    splits = {**GOOD.splits, "train": {"identities": 1, "records": 9, "shards": []}}
    alone = changed(splits=splits)
    assert verdict(alone) == "stop"
    assert "Not yet." in answered(alone)
    assert not any("facemill train" in line for line in commands(alone))


@pytest.mark.parametrize(("level", "said"), [("off", "not looked for"), ("exact", "near dup")])
def test_without_a_search_for_near_duplicates_the_finding_stays_open(level, said):
    options = dataclasses.replace(OPTIONS, dedup=level)
    finding = list(report_answer.between_splits(GOOD, options))[1]
    assert finding.level == "open"
    assert said in finding.text
    assert any("--dedup near" in line for line in commands(GOOD, options))
    assert not any("--dedup" in line for line in commands(GOOD))


def test_a_split_by_image_is_marked_as_closed_set():
    options = dataclasses.replace(OPTIONS, split_by="image")
    assert verdict(changed(in_two_splits=50), options) == "check"
    assert "closed set" in answered(changed(in_two_splits=50), options)


def test_a_small_train_split_gets_a_batch_that_it_can_fill():
    splits = {**GOOD.splits, "train": {"identities": 9, "records": 50, "shards": []}}
    assert commands(changed(splits=splits))[0].endswith("--batch-size 32")


def test_every_command_for_ingest_can_be_parsed():
    """The flags that the page suggests are flags that there are."""
    worst = changed(
        counts={**GOOD.counts, "conflict": 2}, of_two={"train": 79, "val": 0}, held_out=None
    )
    lines = commands(worst, dataclasses.replace(OPTIONS, dedup="off"))
    again = [shlex.split(line)[2:] for line in lines if line.startswith("facemill ingest")]
    assert len(again) == 4
    flags = set(ingest_flags())
    for words in again:
        assert {word for word in words if word.startswith("--")} <= flags


def ingest_flags() -> list[str]:
    parser = argparse.ArgumentParser()
    add_arguments(parser, IngestOptions)
    return list(parser._option_string_actions)
