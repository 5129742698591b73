import json
import os
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from facemill.pipelines.ingest import references
from facemill.pipelines.ingest.options import IngestOptions, parse_split
from facemill.pipelines.ingest.references import (
    ReferenceSet,
    check_base,
    check_exclude,
    check_names,
    read_base,
    reference_sets,
    share_files,
    write_base_keys,
)
from facemill.pipelines.ingest.selection import read_name_lists, result_options
from facemill.transforms.core.errors import RunError, UsageError
from facemill.transforms.core.row_ids import BASE, HELD_OUT
from facemill.transforms.dataset.artifact import fingerprint, read_manifest
from facemill.transforms.dataset.output_files import OutputFiles
from facemill.transforms.faces.crop import CropConfig
from facemill.transforms.scan.listing import image_key
from facemill.transforms.selection.rules import Rule

CROP = CropConfig(32)


def options(**values) -> IngestOptions:
    given = {"image_size": 32, "split": parse_split("train=0.7,val=0.3"), **values}
    return IngestOptions("i", "o", **given)


def wanted(base, **values) -> dict:
    given = options(**values)
    found = result_options(given, "folders", read_name_lists(given))
    return {**found, "append_to": "a fingerprint"}


@pytest.fixture
def base(tiny_dataset):
    return read_base(str(tiny_dataset))


def test_no_base_is_none():
    assert read_base(None) is None


def test_a_base_knows_its_next_version_and_its_files(base, tiny_dataset):
    assert base.root == str(tiny_dataset)
    assert base.version == 2
    assert base.index == ["index/part-00000-of-00001.parquet"]
    shared = {entry["path"] for entry in base.shared}
    shards = {str(path.relative_to(tiny_dataset)) for path in tiny_dataset.glob("*/*.tfrecord")}
    assert shared == {*shards, *base.index}


def test_a_base_that_was_changed_or_is_none_is_refused(tiny_dataset, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(tiny_dataset, copy)
    shard = next(copy.glob("train/*"))
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(RunError, match=r"must have the SHA-256 of its manifest"):
        read_base(str(copy))
    with pytest.raises(UsageError):
        read_base(str(tmp_path / "absent"))


def test_the_options_of_the_base_are_accepted(base):
    check_base(base, wanted(base))
    check_base(
        base, {**wanted(base), "format": "parquet", "label_column": "x", "exclude_dataset": "x"}
    )


@pytest.mark.parametrize(
    "values",
    [{"seed": 2}, {"image_size": 64}, {"min_images": 2}, {"split_by": "image"}, {"dedup": "off"}],
)
def test_other_options_are_refused_by_their_name(base, values):
    (name,) = values
    flag = "--" + name.replace("_", "-")
    with pytest.raises(UsageError, match=f"--append-to must be given the options .*{flag} is"):
        check_base(base, wanted(base, **values))


def test_options_are_shown_as_a_person_writes_them(base):
    rules = (Rule("cap", 5.0), Rule("min-images", 2.0, "age"))
    with pytest.raises(UsageError, match=r"--balance is cap=5 min-images=2@age here and not given"):
        check_base(base, wanted(base, balance=rules))
    given = options(split=parse_split("train=1"))
    here = {**result_options(given, "folders", read_name_lists(given)), "append_to": "x"}
    message = r"--split is train=1 here and train=0.7,val=0.3 there; give the same"
    with pytest.raises(UsageError, match=message):
        check_base(base, here)
    message = (
        r"the floor of quality \(--min-sharpness.*\) is 7, 0 and 0,255 here and 0, 0 and 0,255"
    )
    with pytest.raises(UsageError, match=message):
        check_base(base, wanted(base, min_sharpness=7.0))


@pytest.mark.parametrize("name", ["exclude_dataset", "include_identities", "exclude_identities"])
def test_exclusions_of_the_base_can_be_changed_and_not_dropped(base, name):
    base.manifest["options"][name] = "x"
    check_base(base, {**wanted(base), name: "y"})
    flag = "--" + name.replace("_", "-")
    with pytest.raises(UsageError, match=f"^--append-to must keep away .* with {flag}, but"):
        check_base(base, wanted(base))


def test_lists_that_records_of_the_base_contradict_are_refused(base, tmp_path):
    rows = pq.read_table(os.path.join(base.root, "index")).to_pylist()
    kept = sorted({row["identity"] for row in rows if row["outcome"] == "kept"})
    names = tmp_path / "names.txt"
    names.write_text("somebody else\n")
    check_names(base, read_name_lists(options(exclude_identities=str(names))))
    with pytest.raises(UsageError, match=f"--include-identities leaves out.* of 12 .{kept[0]}, "):
        check_names(base, read_name_lists(options(include_identities=str(names))))
    names.write_text(f"somebody else\n{kept[3]}\n")
    count = sum(row["outcome"] == "kept" and row["identity"] == kept[3] for row in rows)
    with pytest.raises(UsageError, match=rf"has {count} of 1 \({kept[3]}\); ingest the whole"):
        check_names(base, read_name_lists(options(exclude_identities=str(names))))
    names.write_text("".join(f"{name}\n" for name in kept))
    check_names(base, read_name_lists(options(include_identities=str(names))))


def test_a_held_out_set_needs_deduplication():
    check_exclude(options(dedup="off"))
    check_exclude(options(exclude_dataset="x", dedup="exact"))
    with pytest.raises(UsageError, match=r"^--exclude-dataset must go with a search .* off; give"):
        check_exclude(options(exclude_dataset="x", dedup="off"))


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        *((name, None) for name in ("counts", "options", "preprocessing", "source", "splits")),
        *((name, 3) for name in ("counts", "options", "preprocessing", "source", "splits")),
        *((name, {"train": 3}) for name in ("counts", "preprocessing", "source", "splits")),
    ],
)
def test_a_manifest_that_lacks_something_is_one_sentence(tiny_dataset, tmp_path, name, broken):
    damaged(tiny_dataset, tmp_path, {name: broken}, f"must tell {name} of its dataset")


def test_a_manifest_without_files_is_one_sentence(tiny_dataset, tmp_path):
    damaged(tiny_dataset, tmp_path / "a", {"files": None}, "must tell files of its dataset")
    damaged(tiny_dataset, tmp_path / "c", {"files": [{"path": "x"}]}, "must tell files of its")
    damaged(tiny_dataset, tmp_path / "b", {"files": []}, "must list the parts of an index")


def damaged(dataset, copy, changes: dict, message: str) -> None:
    """Checks the errors of both flags for a changed manifest; the value None removes a key."""
    shutil.copytree(dataset, copy, dirs_exist_ok=True)
    manifest = {**json.loads((copy / "manifest.json").read_text()), **changes}
    left = {name: value for name, value in manifest.items() if value is not None}
    (copy / "manifest.json").write_text(json.dumps(left))
    for read in (lambda: read_base(str(copy)), lambda: held_out(copy)):
        with pytest.raises(UsageError, match=f"manifest.json {message}"):
            read()


def test_a_held_out_folder_of_several_formats_is_refused_with_advice_of_its_own(tmp_path):
    for name in ("a.tar", "b.parquet"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(UsageError) as refused:
        held_out(tmp_path)
    message = str(refused.value)
    assert message.startswith(
        f"--exclude-dataset must be of one format, got {tmp_path}, which could"
    )
    assert "--format" not in message


@pytest.mark.parametrize("kind", ["oversample", "effective-number"])
def test_rules_that_would_change_records_of_the_base_are_refused(base, kind):
    rules = (Rule(kind, 0.0 if kind == "effective-number" else 3),)
    here = wanted(base, balance=rules)
    base.manifest["options"]["balance"] = json.loads(json.dumps(here["balance"]))
    with pytest.raises(UsageError, match=f"--balance {kind} depends on all of them"):
        check_base(base, here)


def test_files_are_shared_as_links_and_as_copies_where_that_cannot_be(base, tmp_path, monkeypatch):
    share_files(base, OutputFiles(str(tmp_path / "links")))

    def no_links(source, target):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(references.os, "link", no_links)
    share_files(base, OutputFiles(str(tmp_path / "copies")))
    for entry in base.shared:
        source = os.path.join(base.root, entry["path"])
        assert os.path.samefile(source, tmp_path / "links" / entry["path"])
        assert not os.path.samefile(source, tmp_path / "copies" / entry["path"])
        data = (tmp_path / "copies" / entry["path"]).read_bytes()
        assert data == (tmp_path / "links" / entry["path"]).read_bytes()


def test_keys_of_all_listed_images_are_written_in_order(base, tmp_path):
    write_base_keys(base, str(tmp_path / "known.npy"))
    keys = np.load(tmp_path / "known.npy")
    rows = pq.read_table(os.path.join(base.root, "index"), columns=["image_id"])
    assert keys.tolist() == sorted(map(image_key, rows["image_id"].to_pylist()))
    assert len(keys) == base.manifest["counts"]["listed"] > 0


def test_reference_sets_are_those_that_the_options_name(base, tiny_dataset, tiny_photos):
    assert reference_sets(options(), CROP, None) == []
    given = options(exclude_dataset=str(tiny_photos))
    appended, held = reference_sets(given, CROP, base)
    assert (appended.origin, held.origin) == (BASE, HELD_OUT)
    # Records are crops already; photos are cropped as those of the run.
    assert (appended.crop_config, held.crop_config) == (CropConfig(32, "none"), CROP)
    assert (appended.source.format, held.source.format) == ("dataset", "folders")
    (held,) = reference_sets(options(exclude_dataset=str(tiny_dataset)), CropConfig(64), None)
    assert (held.source.format, held.crop_config) == ("dataset", CropConfig(64, "none"))


@pytest.mark.parametrize("crop_config", [CropConfig(32, "none"), CropConfig(32, "center", 0.5)])
def test_a_dataset_that_was_framed_otherwise_is_refused(tiny_dataset, base, crop_config):
    message = r"must be a dataset whose photos were framed alike.*--align center --crop-fraction 1"
    with pytest.raises(UsageError, match=f"^--exclude-dataset {message}"):
        reference_sets(options(exclude_dataset=str(tiny_dataset)), crop_config, None)
    with pytest.raises(UsageError, match=f"^--append-to {message}"):
        reference_sets(options(), crop_config, base)


def test_a_missing_held_out_set_names_its_option(tmp_path):
    for path in (tmp_path / "absent", tmp_path):
        with pytest.raises(UsageError) as refused:
            reference_sets(options(exclude_dataset=str(path)), CROP, None)
        assert str(refused.value).startswith("--exclude-dataset must")
        assert "--input" not in str(refused.value)


def held_out(path) -> ReferenceSet:
    (found,) = reference_sets(options(exclude_dataset=str(path)), CROP, None)
    return found


def test_a_held_out_set_has_a_name_without_a_path(tiny_dataset, tiny_photos):
    assert held_out(f"{tiny_photos}/").name == "images"
    manifest = read_manifest(str(tiny_dataset), "dataset")
    assert held_out(tiny_dataset).name == fingerprint(manifest)
    assert held_out(f"{tiny_dataset}/").name == fingerprint(manifest)


def test_a_held_out_dataset_that_was_changed_is_refused(tiny_dataset, tmp_path):
    shutil.copytree(tiny_dataset, tmp_path / "copy")
    shard = next((tmp_path / "copy").glob("train/*"))
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(RunError, match=r"tfrecord must have the SHA-256 of its manifest"):
        held_out(tmp_path / "copy")


def test_the_output_of_an_unfinished_run_is_no_held_out_set(tiny_dataset, tmp_path):
    shutil.copytree(tiny_dataset, tmp_path / "copy")
    (tmp_path / "copy" / "manifest.json").rename(tmp_path / "copy" / ".incomplete")
    with pytest.raises(UsageError, match="--exclude-dataset must be images or a complete dataset"):
        held_out(tmp_path / "copy")


def test_the_options_of_the_input_do_not_apply_to_a_held_out_set(tmp_path):
    pq.write_table(pa.table({"face": ["no image"]}), tmp_path / "faces.parquet")
    with pytest.raises(UsageError) as refused:
        held_out(tmp_path)
    assert str(refused.value) == (
        "--exclude-dataset must hold tables of images, but faces.parquet has no column of images "
        "among face; check the path, or ingest these images by themselves and give that dataset."
    )
