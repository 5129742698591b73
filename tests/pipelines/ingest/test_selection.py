import dataclasses
import json
from typing import Any

import numpy as np
import pytest

from facemill.pipelines.ingest.options import IngestOptions
from facemill.pipelines.ingest.selection import (
    check_attribute,
    no_attribute,
    quality_thresholds,
    read_name_lists,
    result_options,
    selection,
)
from facemill.transforms.core.errors import UsageError
from facemill.transforms.dataset.artifact import plain
from facemill.transforms.dataset.identity_filter import identity_key
from facemill.transforms.images.quality import QualityThresholds
from facemill.transforms.selection.rules import Rule
from facemill.transforms.selection.selection import Selection
from facemill.transforms.sources.folders import Folders

PLAIN = IngestOptions("i", "o")


def rules_of(options: IngestOptions) -> Selection:
    return selection(options, read_name_lists(options))


def options_in_manifest(options: IngestOptions, form: str) -> dict[str, Any]:
    return result_options(options, form, read_name_lists(options))


def changed(**values) -> IngestOptions:
    return dataclasses.replace(PLAIN, **values)


@pytest.fixture
def names(tmp_path):
    def write(name: str, *identities: str) -> str:
        path = tmp_path / name
        path.write_text("\n".join(identities) + "\n")
        return str(path)

    return write


def test_no_options_make_no_rules():
    found = rules_of(PLAIN)
    assert found.rules == ()
    assert found.listed == ()
    assert found.identity_filter.include is None
    assert len(found.identity_filter.exclude) == 0
    assert not found.weighted
    assert quality_thresholds(PLAIN) == QualityThresholds()


def test_least_and_most_images_come_before_further_rules():
    more = (Rule("oversample", 9), Rule("effective-number", 0.9, "age"))
    found = rules_of(changed(min_images=2, max_images=5, balance=more, prefer="quality"))
    assert found.rules == (Rule("min-images", 2), Rule("cap", 5), *more)
    assert found.weighted
    assert found.columns == ("age",)
    assert found.prefer == "quality"
    late = rules_of(changed(max_images=5, balance=(*more, Rule("min-images", 3))))
    assert late.rules == (Rule("min-images", 3), Rule("cap", 5), *more)


def test_lists_become_sorted_keys(names):
    found = rules_of(
        changed(
            include_identities=names("in", "ada", "bob", "eve"),
            exclude_identities=names("out", "bob"),
            split_lists=(("test", names("t", "joe")), ("val", names("v", "eve", "ada"))),
            seed=4,
        )
    )
    assert found.identity_filter.include.tolist() == sorted(
        identity_key(4, who) for who in ("ada", "bob", "eve")
    )
    assert found.identity_filter.exclude.tolist() == [identity_key(4, "bob")]
    assert [split for split, _ in found.listed] == ["test", "val"]
    assert found.listed[1][1].tolist() == sorted(identity_key(4, who) for who in ("ada", "eve"))
    assert found.identity_filter.include.dtype == np.uint64


def test_an_identity_in_two_splits_is_refused_in_one_sentence(names):
    lists = (("test", names("a", "ada", "joe")), ("val", names("b", "joe")))
    with pytest.raises(UsageError, match="into one split, got joe for test and val; take it out"):
        rules_of(changed(split_lists=lists))
    # Twice for the same split does no harm.
    rules_of(changed(split_lists=(lists[0], ("test", names("c", "joe")))))


def test_a_list_that_cannot_be_read_names_its_option(tmp_path):
    for values, name in (
        ({"include_identities": str(tmp_path / "no")}, "include_identities"),
        ({"split_lists": (("val", str(tmp_path / "no")),)}, "split_lists"),
    ):
        with pytest.raises(UsageError, match=f"^`{name}` must be a text file"):
            rules_of(changed(**values))


class FoldersWithAttributes(Folders):
    """A source that knows its attributes."""

    def __init__(self, there: list[str] | None) -> None:
        super().__init__("/photos")
        self.there = there

    def attributes(self) -> list[str] | None:
        return self.there


def test_a_rule_of_an_attribute_that_the_source_lacks_is_refused():
    rules = rules_of(changed(balance=(Rule("cap", 5, "agee"),)))
    with pytest.raises(UsageError, match="have, got agee, but they have age, sex; name one"):
        check_attribute(rules, FoldersWithAttributes(["age", "sex"]))
    with pytest.raises(UsageError, match="but they have none; leave @agee out, or give a mani"):
        check_attribute(rules, Folders("/photos"))
    check_attribute(rules, FoldersWithAttributes(["agee"]))
    # None: the attributes are known only once the images are read.
    check_attribute(rules, FoldersWithAttributes(None))
    check_attribute(rules_of(changed(balance=(Rule("cap", 5),))), Folders("/photos"))


def test_of_many_attributes_some_are_named():
    message = no_attribute("age", [f"column {n}" for n in range(20)])
    assert "column 7 and others; name one of these." in message
    assert "column 8" not in message


# Options that do not change the result, or that the manifest holds in another way.
_ELSEWHERE = {
    *(
        "input",
        "output",
        "root",
        "workers",
        "scratch",
        "compare_input",
        "max_rejected",
        "exclude_dataset",
        "append_to",
    ),
    # It stands there as the source that was chosen.
    "format",
}
_OTHERS = {
    "image_column": "photo",
    "label_column": "who",
    "key": "file",
    "identities": False,
    "image_size": 64,
    "align": "none",
    "detector": "mtcnn",
    "crop_fraction": 0.5,
    "min_sharpness": 1.0,
    "min_contrast": 1.0,
    "brightness": (1.0, 200.0),
    "dedup": "exact",
    "copy_difference": 0.2,
    "on_conflict": "quarantine",
    "min_images": 2,
    "max_images": 3,
    "balance": (Rule("cap", 5),),
    "prefer": "quality",
    "split": (("train", 1.0),),
    "split_by": "image",
    "split_lists": (("val", "FILE"),),
    "seed": 2,
    "include_identities": "FILE",
    "exclude_identities": "FILE",
    "match_names": "folded",
}


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(IngestOptions)])
def test_the_manifest_holds_every_option_that_changes_the_result(field, names):
    # A detector counts only where there is one.
    given = {"align": "detect"} if field == "detector" else {}
    before = options_in_manifest(changed(**given), "folders")
    if field in _ELSEWHERE:
        other = {
            "format": "lfw",
            "workers": 5,
            "max_rejected": 0.1,
            "scratch": "disk",
            "compare_input": "contents",
        }.get(field, "other")
        assert options_in_manifest(changed(**{field: other}), "folders") == before
        return
    value = _OTHERS[field]
    if "FILE" in str(value):
        value = json.loads(json.dumps(value).replace("FILE", names("list", "ada")))
    after = options_in_manifest(changed(**given, **{field: value}), "folders")
    assert after != before
    # It can be written, and nothing of this machine is in it.
    assert str(names("list", "ada")) not in json.dumps(plain(after))


def test_lists_are_identified_by_their_content(names):
    def options_with(*identities: str) -> dict:
        path = names(f"list {len(identities)} {identities[0]}", *identities)
        return options_in_manifest(changed(include_identities=path), "folders")

    assert options_with("ada", "bob") == options_with("bob", "ada")
    assert options_with("ada", "bob") != options_with("ada", "eve")
    assert options_with("ada", "bob")["include_identities"]["count"] == 2
    two = (("val", names("a", "ada")), ("val", names("b", "bob")))
    one = two[1:]
    assert options_in_manifest(changed(split_lists=two), "x") != options_in_manifest(
        changed(split_lists=one), "x"
    )
