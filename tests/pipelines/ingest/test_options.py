import argparse
import dataclasses

import pytest

from facemill.pipelines.common.options import add_arguments, from_arguments
from facemill.pipelines.ingest.options import IngestOptions, parse_split
from facemill.transforms.core import cores
from facemill.transforms.core.errors import UsageError
from facemill.transforms.selection.rules import Rule

# Every flag with a value of its own and what becomes of it.
CHANGES = {
    "--format": ("webdataset", "format", "webdataset"),
    "--root": ("/images", "root", "/images"),
    "--image-column": ("photo", "image_column", "photo"),
    "--label-column": ("who", "label_column", "who"),
    "--key": ("file", "key", "file"),
    "--no-identities": (None, "identities", False),
    "--image-size": ("64", "image_size", 64),
    "--align": ("none", "align", "none"),
    "--detector": ("mtcnn", "detector", "mtcnn"),
    "--crop-fraction": ("0.7", "crop_fraction", 0.7),
    "--min-sharpness": ("3.5", "min_sharpness", 3.5),
    "--min-contrast": ("2.5", "min_contrast", 2.5),
    "--brightness": ("20,240", "brightness", (20.0, 240.0)),
    "--dedup": ("thorough", "dedup", "thorough"),
    "--copy-difference": ("0.15", "copy_difference", 0.15),
    "--on-conflict": ("quarantine", "on_conflict", "quarantine"),
    "--min-images": ("3", "min_images", 3),
    "--max-images": ("9", "max_images", 9),
    "--balance": ("cap=5@age", "balance", (Rule("cap", 5, "age"),)),
    "--prefer": ("quality", "prefer", "quality"),
    "--split": ("train=1", "split", (("train", 1.0), ("val", 0.0), ("test", 0.0))),
    "--split-by": ("image", "split_by", "image"),
    "--split-list": ("test=names.txt", "split_lists", (("test", "names.txt"),)),
    "--seed": ("5", "seed", 5),
    "--workers": ("7", "workers", 7),
    "--scratch": ("store", "scratch", "store"),
    "--compare-input": ("contents", "compare_input", "contents"),
    "--include-identities": ("in.txt", "include_identities", "in.txt"),
    "--exclude-identities": ("out.txt", "exclude_identities", "out.txt"),
    "--match-names": ("folded", "match_names", "folded"),
    "--exclude-dataset": ("held", "exclude_dataset", "held"),
    "--append-to": ("old", "append_to", "old"),
    "--max-rejected": ("0.25", "max_rejected", 0.25),
}


def parsed(*flags: str) -> IngestOptions:
    parser = argparse.ArgumentParser()
    add_arguments(parser, IngestOptions)
    given = parser.parse_args(["--input", "i", "--output", "o", *flags])
    return from_arguments(IngestOptions, given)


@pytest.mark.parametrize("flag", CHANGES)
def test_each_flag_changes_its_value_and_no_other(flag):
    text, field, value = CHANGES[flag]
    plain = parsed()
    assert getattr(plain, field) != value
    given = [flag] if text is None else [flag, text]
    assert parsed(*given) == dataclasses.replace(plain, **{field: value})


def test_every_option_has_a_flag_and_its_default():
    fields = {field.name for field in dataclasses.fields(IngestOptions)}
    assert fields == {"input", "output", *(field for _, field, _ in CHANGES.values())}
    plain = parsed()
    assert plain == IngestOptions("i", "o")
    assert plain.workers == cores.usable()


def test_repeated_flags_add_up_in_order():
    found = parsed(
        *("--balance", "cap=5", "--balance", "oversample=3"),
        *("--split-list", "val=a", "--split-list", "test=b", "--split-list", "val=c"),
    )
    assert found.balance == (Rule("cap", 5), Rule("oversample", 3))
    assert found.split_lists == (("val", "a"), ("test", "b"), ("val", "c"))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--image-size", "15"), "--image-size must be 16 to 1024 pixels, got 15"),
        (("--image-size", "1025"), "--image-size must be"),
        (("--crop-fraction", "1.1"), "--crop-fraction must be"),
        (("--crop-fraction", "nan"), "--crop-fraction must be"),
        (("--crop-fraction", "1e-9"), "--crop-fraction must be 0.05 to 1, got 1e-09"),
        (("--brightness", "20"), "--brightness must be two numbers LOW,HIGH, got '20'"),
        (("--brightness", "a,b"), "--brightness must be"),
        (("--brightness", "240,20"), "--brightness must be"),
        (("--brightness", "0,256"), "--brightness must be"),
        (("--copy-difference", "0.7"), "--copy-difference must be 0.12 to 0.6, got 0.7; 0.24 is"),
        (("--copy-difference", "0.11"), "--copy-difference must be 0.12 to 0.6"),
        (("--copy-difference", "nan"), "--copy-difference must be"),
        (
            ("--copy-difference", "0.2", "--dedup", "exact"),
            "--copy-difference must go with --dedup near or thorough, which compare photos",
        ),
        (("--min-images", "0"), "--min-images must be 1 to 1,000,000,000, got 0"),
        (("--min-images", "5000000000"), "--min-images must be 1 to"),
        (("--max-images", "5000000000"), "--max-images must be 1 to"),
        (("--min-images", "4", "--max-images", "3"), "--max-images must be at least --min-images"),
        (("--balance", "cap=5@age", "--balance", "cap=5@sex"), "one attribute, got age, sex"),
        (("--balance", "cap"), "`balance` must be"),
        (("--balance", "min-images=5000000000"), "with N from 1 to 1,000,000,000"),
        (("--split", "train=0.5,val=0.6"), "--split must sum to 1"),
        (("--split", "train=x"), "--split must give shares"),
        (("--split", "train=nan"), "--split must give shares"),
        (("--split", "train=1.5,val=-0.5"), "--split must give shares"),
        (("--split", "dev=1"), "--split must give shares"),
        (("--split-list", "names.txt"), "--split-list must be SPLIT=FILE"),
        (("--split-list", "dev=names.txt"), "--split-list must be SPLIT=FILE"),
        (("--split-list", "val="), "--split-list must be SPLIT=FILE"),
        (("--split-by", "image", "--split-list", "val=a"), "--split-by identity, since it puts"),
        (("--workers", "0"), "--workers must be 1 or more"),
        (("--seed", "-1"), "--seed must be 0 or more"),
        (("--max-rejected", "-0.1"), "--max-rejected must be 0 to 1"),
        (("--max-rejected", "1.01"), "--max-rejected must be 0 to 1"),
        (("--max-rejected", "nan"), "--max-rejected must be 0 to 1"),
        (("--min-sharpness", "-1"), "--min-sharpness must be"),
        (("--min-contrast", "nan"), "--min-contrast must be"),
    ],
)
def test_a_value_out_of_range_is_one_sentence(flags, message):
    with pytest.raises(UsageError) as refused:
        parsed(*flags)
    assert message in str(refused.value)
    assert str(refused.value).endswith(".")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("flag", "text"),
    [("--max-rejected", "0"), ("--crop-fraction", "0.05"), ("--min-images", "1000000000")],
)
def test_the_last_value_of_a_range_is_in_it(flag, text):
    assert getattr(parsed(flag, text), flag[2:].replace("-", "_")) == float(text)


def test_shares_are_of_all_splits_in_their_order():
    assert parse_split("test=0.25, train=0.75") == (("train", 0.75), ("val", 0), ("test", 0.25))


@pytest.mark.parametrize(
    ("values", "refused"),
    [
        ({"align": "centre"}, "--align must be none, center, landmarks or detect, got 'centre'; "),
        ({"format": "zip"}, "--format must be folders, lfw,"),
        ({"max_images": 0}, "--max-images must be 1 to 1,000,000,000, got 0"),
        ({"max_rejected": 2.0}, "--max-rejected must be 0 to 1, got 2; give 0.5."),
        ({"min_sharpness": float("inf")}, "--min-sharpness must be 0 or more, got inf; give 0"),
    ],
)
def test_options_made_in_code_are_checked_too(values, refused):
    with pytest.raises(UsageError, match=f"^{refused}"):
        IngestOptions("i", "o", **values)
