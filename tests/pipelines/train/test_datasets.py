"""`facemill train` with several datasets: of the same twelve names, which are split in two ways."""

import json
import shutil

import pytest

from facemill.model.export import trained_identities
from facemill.pipelines import cli
from facemill.pipelines.train.datasets import open_all
from facemill.pipelines.train.options import TrainOptions
from facemill.transforms.core.errors import UsageError
from facemill.transforms.dataset import artifact
from facemill.transforms.dataset.read_index import read_index
from tests.commands import facemill
from tests.conftest import TRAINING
from tests.model import tiny


@pytest.fixture(scope="module")
def datasets(tmp_path_factory, tiny_dataset):
    return tiny.dataset(tmp_path_factory), tiny_dataset


def identities(dataset, split: str) -> set[str]:
    rows = read_index(str(dataset))
    return {
        identity
        for identity, own in zip(
            rows["identity"].to_pylist(), rows["split"].to_pylist(), strict=True
        )
        if own == split
    }


@pytest.mark.slow
def test_two_datasets_are_trained_on_as_one(datasets, tmp_path):
    train = [identities(one, "train") for one in datasets]
    val = [identities(one, "val") for one in datasets]
    # Two that have other names are one by an alias.
    first, second = sorted(train[0])[0], sorted(train[1])[-1]
    assert first != second
    aliases = {(0, first): "Ada", (1, second): "Ada"}
    named = [{aliases.get((at, one), one) for one in own} for at, own in enumerate(train)]
    table = tmp_path / "aliases.csv"
    table.write_text(f"dataset,identity,name\n{datasets[0]},{first},Ada\n2,{second},Ada\n2,x,y\n")
    output = tmp_path / "model"
    done = facemill(
        *("train", "--dataset", *datasets, "--output", output, "--aliases", table),
        *(*TRAINING, "--images-per-identity", 2),
    )
    manifest = artifact.read_manifest(str(output), "model")
    described = [tiny.manifest(one) for one in datasets]
    prints = [artifact.fingerprint(one) for one in described]
    count, shared = len(named[0] | named[1]), len(named[0] & named[1])
    assert manifest["counts"] == {
        "images": sum(one["splits"]["train"]["records"] for one in described),
        "identities": count,
    }
    assert manifest["dataset_fingerprint"] == manifest["options"]["dataset_fingerprint"] == prints
    assert [one["fingerprint"] for one in manifest["datasets"]] == prints
    assert manifest["datasets"][1]["train"] == {
        key: described[1]["splits"]["train"][key] for key in ("records", "identities")
    }
    assert manifest["identities_in_several_datasets"] == shared
    left_out = len((val[0] | val[1]) & (named[0] | named[1]))
    assert manifest["val_identities_left_out"] == left_out > 0
    assert f"{shared} of {count} identities have one name in several datasets" in done.stderr
    assert f"{left_out} identities of val splits are left out of validation" in done.stderr
    assert "1 of 3 rows of --aliases name no identity" in done.stderr
    assert "Copies of one photo in two of the datasets are not looked for" in done.stderr
    hashes = trained_identities.read(str(output), manifest)
    assert set(trained_identities.hashes_of([*train[0], *train[1], "Ada"])) == set(hashes)
    page = (output / "report.html").read_text()
    assert "Left out of validation" in page
    assert all(one[:12] in page for one in prints)
    assert str(tmp_path) not in (output / "manifest.json").read_text()
    run = json.loads((output / "run.json").read_bytes())
    assert run["inputs"] == {f"dataset[{at}]": str(one) for at, one in enumerate(datasets)}


@pytest.mark.moderate
def test_what_decides_the_result_is_in_the_options_and_paths_are_not(datasets, tmp_path):
    table = tmp_path / "aliases.csv"
    table.write_text("dataset,identity,name\n1,a,b\n2,c,b\n")
    paths = tuple(map(str, datasets))
    moved = shutil.copytree(datasets[1], tmp_path / "moved")
    asked = TrainOptions(paths, "o", aliases=str(table))
    again = TrainOptions((paths[0], str(moved)), "o", aliases=str(table))
    assert open_all(asked).options == open_all(again).options
    table.write_text("dataset,identity,name\n2,c,b\n1,a,b\n")
    assert open_all(asked).options == open_all(again).options
    table.write_text("dataset,identity,name\n2,c,b\n1,a,d\n")
    assert open_all(asked).options != open_all(TrainOptions(paths, "o")).options
    separate = TrainOptions(paths, "o", identities="separate")
    assert open_all(separate).options != open_all(TrainOptions(paths, "o")).options
    (single,) = open_all(TrainOptions(paths[:1], "o")).options
    assert single == "dataset_fingerprint"


def test_datasets_that_do_not_go_together_are_refused_in_a_sentence(datasets, tmp_path, capsys):
    def refused(*given) -> str:
        command = ["train", "--output", tmp_path / "model", "--dataset", *given]
        assert cli.main([str(one) for one in command]) == 2
        assert not (tmp_path / "model").exists()
        return capsys.readouterr().err

    first, second = datasets
    copy = shutil.copytree(first, tmp_path / "copy")
    assert (
        f"--dataset must name each dataset once, but {copy} is the same as {first}; leave one"
    ) in refused(first, second, copy)

    def changed(change) -> str:
        described = tiny.manifest(second)
        change(described)
        (copy / "manifest.json").write_text(json.dumps(described))
        return refused(first, copy)

    said = changed(lambda one: one["preprocessing"].update(crop_fraction=0.5))
    assert f"but {first} has crop fraction 1.0 and {copy} has crop fraction 0.5; ingest" in said
    said = changed(lambda one: one["splits"]["train"].update(records=0, identities=0, shards=[]))
    assert f"in the train split of each dataset, but {copy} has none; leave it out" in said
    said = refused(first, second, "--aliases", tmp_path / "none.csv")
    assert "--aliases must be a table, but" in said
    said = refused(first, second, "--batch-size", 5000)
    assert "--batch-size must be at most the 128 images of the train split" in said


def test_one_dataset_takes_no_names_of_several():
    with pytest.raises(UsageError, match="--aliases must be given with several datasets"):
        TrainOptions(("d",), "o", aliases="a.csv")
