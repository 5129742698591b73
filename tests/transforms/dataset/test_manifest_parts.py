import copy

import pytest

from facemill.transforms.core.errors import UsageError
from facemill.transforms.dataset.manifest_parts import check_parts

_SPLIT = {"records": 3, "identities": 2, "shards": ["train/part-00000-of-00001.tfrecord"]}
DATASET = {
    "options": {"image_size": 32, "seed": 1},
    "preprocessing": {"image_size": 32, "align": "center"},
    "splits": {"train": _SPLIT, "val": _SPLIT | {"records": 0, "identities": 0, "shards": []}},
    "files": [{"path": "a", "bytes": 0, "sha256": "b"}],
}


def test_complete_manifests_are_taken():
    check_parts("d", DATASET, "dataset")
    model = {name: DATASET[name] for name in ("preprocessing", "files")}
    check_parts("m", model | {"model_id": "x", "embedding_size": 16}, "model")


@pytest.mark.parametrize(
    ("keys", "value", "said"),
    [
        (("splits",), None, "an object at splits, got nothing"),
        (("splits", "train"), [], r"an object at splits.train, got \[\]"),
        (("splits", "val", "records"), -1, "a whole number at splits.val.records, got -1"),
        (("splits", "train", "records"), True, "a whole number at splits.train.records, got True"),
        (("splits", "train", "shards"), "x", "a list at splits.train.shards, got 'x'"),
        (("options", "image_size"), "32", "a whole number above 0 at options.image_size, got '32'"),
        (("options", "image_size"), 0, "a whole number above 0 at options.image_size, got 0"),
        (("preprocessing", "align"), 1, "a text at preprocessing.align, got 1"),
        (("files",), [{"path": "a"}], r"a whole number at files\[0\].bytes, got nothing"),
    ],
)
def test_what_is_missing_or_of_another_type_is_named(keys, value, said):
    manifest = copy.deepcopy(DATASET)
    inner = manifest
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    with pytest.raises(UsageError, match=f"^The manifest of d must have {said}; it was changed or"):
        check_parts("d", manifest, "dataset")
