"""`facemill ingest` with rules of balance."""

import json
import re
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest

from facemill.transforms.dataset.records import WEIGHT
from tests.artifacts import contents
from tests.pipelines.ingest.ingesting import (
    check,
    draw,
    ingest,
    manifest_of,
    records_of,
    refused,
    rows_of,
    write_manifest,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def listed(tmp_path_factory) -> Path:
    """A manifest of identities of 2 to 8 images, with an age where it is known."""
    root = tmp_path_factory.mktemp("listed")
    rows = [
        (
            draw(root, identity, image),
            f"id{identity:02d}",
            "" if image == 0 else f"{20 + 10 * (image % 3)}s",
        )
        for identity in range(8)
        for image in range(2 + identity % 7)
    ]
    rows.append((draw(root, 20, 0, "loose/nobody.jpg"), "", "20s"))
    return write_manifest(root, "age", rows)


RICH = (
    *("--balance", "cap=5", "--balance", "oversample=6"),
    *("--balance", "cap=4@age", "--balance", "effective-number=0.9", "--prefer", "quality"),
)


@pytest.fixture(scope="module")
def balanced(listed, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("balanced") / "out"
    ingest(listed, output, *RICH)
    return output


def test_a_cap_of_an_attribute_counts_its_values(balanced):
    rows = check(balanced)
    kept = Counter()
    for row in rows.values():
        if row["outcome"] == "kept":
            kept[dict(row["attributes"]).get("age") or None] += 1
    ages = {"20s", "30s", "40s"}
    assert {age: kept[age] for age in ages} == dict.fromkeys(ages, 4)
    # Images without an age are no value to balance.
    assert kept[None] > 4
    ageless = [row for row in rows.values() if not dict(row["attributes"]).get("age")]
    assert len(ageless) == 8
    assert not any("its age" in row["reason"] for row in ageless)
    reasons = {row["reason"] for row in rows.values() if row["outcome"] == "dropped"}
    assert any(
        re.fullmatch(r"its age has \d+ images, more than the 4 allowed", one) for one in reasons
    )
    assert any(one.startswith("identity has 7 images, more than the 5") for one in reasons)


def test_an_attribute_before_and_after_is_in_manifest_and_report(balanced):
    rows = rows_of(balanced).values()
    before, after = Counter(), Counter()
    for row in rows:
        age = dict(row["attributes"]).get("age") or ""
        before[age] += 1
        after[age] += row["copies"] or 0
    counts = json.loads((balanced / "manifest.json").read_text())["balance"]["age"]
    assert counts == {"before": dict(sorted(before.items())), "after": dict(sorted(after.items()))}
    report = (balanced / "report.html").read_text("utf-8")
    assert "of 4 values" in report
    assert "(none)" in report


def test_weights_are_in_records_and_index_and_1_on_average(balanced):
    rows = rows_of(balanced)
    train = []
    for shard, _, features in records_of(balanced):
        (weight,) = features[WEIGHT]
        assert weight == rows[features["image/id"].decode()]["weight"]
        if shard.startswith("train/"):
            train.append(weight)
        else:
            assert weight == 1
    assert len(set(train)) > 1
    assert np.mean(train) == pytest.approx(1, rel=1e-5)


def test_small_identities_are_written_several_times(listed, tmp_path):
    ingest(listed, tmp_path / "out", "--balance", "oversample=6", "--split", "train=1")
    rows = check(tmp_path / "out")
    copies = defaultdict(list)
    for row in rows.values():
        if row["split"] == "train":
            copies[row["identity"]].append(row["copies"])
    assert {name: sum(found) for name, found in copies.items()} == {
        name: max(6, len(found)) for name, found in copies.items()
    }
    assert all(max(found) - min(found) <= 1 for found in copies.values())
    assert rows["loose/nobody.jpg"]["split"] == "unlabeled"
    seeds = [
        features["augmentation_seed"]
        for _, _, features in records_of(tmp_path / "out")
        if features["image/id"] == b"id00/000.jpg" and "augmentation_seed" in features
    ]
    assert sorted(seeds) == [[1], [2]]
    histograms = manifest_of(tmp_path / "out")["balance"]["identity"]
    # Of 2 to 8 images, and the eighth identity has 2 again.
    assert histograms["before"] == {"2": 2, "3": 1, "4": 1, "5": 1, "6": 1, "7": 1, "8": 1}
    assert histograms["after"] == {"6": 6, "7": 1, "8": 1}


@pytest.mark.long
def test_two_workers_write_the_same_bytes(listed, balanced, tmp_path):
    ingest(listed, tmp_path / "out", *RICH, "--workers", 2)
    assert contents(tmp_path / "out") == contents(balanced)


def test_an_attribute_that_no_image_has_is_refused_in_one_sentence(listed, tmp_path):
    message = refused(listed, tmp_path / "out", "--balance", "cap=5@eyes")
    assert "got eyes, but they have age; name one" in message
