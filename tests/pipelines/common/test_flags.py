"""Parameters as the command line calls them."""

import argparse

import pytest

from facemill.pipelines.common.flags import crop_flags, flag, flags_of, with_flags
from facemill.transforms.faces.crop import CropConfig


def test_a_parameter_has_the_flag_of_its_name():
    assert (flag("output"), flag("exclude_dataset")) == ("--output", "--exclude-dataset")


def test_flags_of_a_parser_are_by_parameter():
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--color-jitter", dest="light")
    parser.add_argument("--flip", action=argparse.BooleanOptionalAction)
    parser.add_argument("--batch-size")
    parser.add_argument("command")
    assert flags_of(parser) == {
        "light": "--color-jitter",
        "flip": "--flip",
        "batch_size": "--batch-size",
    }


def test_a_text_of_the_library_gets_flags():
    text = "by a column, or the one of `label_column`; see `a b` and `Label`"
    assert with_flags(text) == "by a column, or the one of --label-column; see `a b` and `Label`"


@pytest.mark.parametrize(
    ("crop_config", "expected"),
    [
        (CropConfig(64, "none"), "--align none"),
        (CropConfig(64, "center", 0.5), "--align center --crop-fraction 0.5"),
        (CropConfig(64, "center", 1.0), "--align center --crop-fraction 1"),
        (CropConfig(64, "landmarks"), "--align landmarks"),
        (CropConfig(64, "detect", detector="mtcnn"), "--align detect --detector mtcnn"),
    ],
)
def test_crop_flags_are_those_that_ask_for_the_crop(crop_config, expected):
    assert crop_flags(crop_config.to_manifest()) == expected
