from facemill.transforms.sources.base import Ref
from facemill.transforms.sources.folders import NO_FOLDER
from facemill.transforms.sources.megaface import NO_IMAGE, NO_PERSON
from facemill.transforms.sources.missing_identity import ignore_missing_identity, reason_of
from tests.reasons import because


def test_a_missing_identity_is_ignored():
    for reason in (NO_FOLDER, NO_PERSON):
        ref = Ref("top.jpg", None, "top.jpg", reason=reason, split="val")
        assert reason_of(ref) is None
        assert ignore_missing_identity(ref) == Ref("top.jpg", None, "top.jpg", split="val")


def test_other_reasons_are_kept():
    for reason in (None, because("a bad name"), NO_IMAGE):
        ref = Ref("x", "x", "x", reason=reason)
        assert reason_of(ref) == reason
        assert ignore_missing_identity(ref) is ref


def test_an_exclusion_of_a_dataset_keeps_its_reason():
    ref = Ref("a.jpg", None, "index/0.parquet", reason=NO_FOLDER, outcome="rejected")
    assert ignore_missing_identity(ref) == ref
