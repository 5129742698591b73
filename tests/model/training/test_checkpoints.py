import dataclasses
import shutil

import pytest

from facemill.model.training import checkpoints
from facemill.model.training import trainer as training
from facemill.transforms.core.errors import RunError
from tests.model.training.one_step import ONE_STEP

RECIPE = dataclasses.replace(ONE_STEP, steps=4)


@pytest.fixture(scope="module")
def run_of_four(trainer_in, tmp_path_factory):
    """The folder of a run of four steps with checkpoints of the second and the fourth."""
    folder = tmp_path_factory.mktemp("checkpoints") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "_CHECK_EVERY", 2)
        patch.setattr(training, "_CHECKPOINT_SECONDS", -1.0)
        trainer_in(folder, RECIPE).run()
    assert {path.name for path in folder.glob("*.index")} == {"ckpt-2.index", "ckpt-4.index"}
    return folder


@pytest.fixture
def stopped(run_of_four, tmp_path):
    """A copy of it; the list of checkpoints names them relative to the folder."""
    return shutil.copytree(run_of_four, tmp_path / "run")


@pytest.mark.moderate
@pytest.mark.parametrize("name", ["history-4.json", "ckpt-4.index", "ckpt-4.data-00000-of-00001"])
@pytest.mark.parametrize("damage", ["cut", "missing", "flipped"])
def test_a_damaged_checkpoint_is_passed_over_for_an_older_one(
    trainer, stopped, capsys, name, damage
):
    path = stopped / name
    content = path.read_bytes()
    middle = len(content) // 2
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(content[:20])
    else:
        path.write_bytes(content[:middle] + b"\xff\x00\xff" + content[middle + 3 :])
    resumed = trainer(RECIPE, folder=stopped)
    resumed.restore()
    assert (resumed.step, len(resumed.history.losses)) == (2, 2)
    said = capsys.readouterr().err
    assert "going on from step 2" in said
    assert f"damaged and passed over: {stopped}/ckpt-4" in said
    resumed.run()
    assert (resumed.step, len(resumed.history.losses)) == (4, 4)


@pytest.mark.moderate
@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe\x00", b"model_checkpoint_path"])
def test_checkpoints_are_found_without_their_list(trainer, stopped, capsys, content):
    path = stopped / checkpoints.LIST
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    resumed = trainer(RECIPE, folder=stopped)
    resumed.restore()
    assert resumed.step == 4
    assert "passed over" not in capsys.readouterr().err


@pytest.mark.moderate
def test_without_an_undamaged_checkpoint_the_run_is_refused(trainer, stopped):
    for path in stopped.glob("*.index"):
        path.write_bytes(b"")
    with pytest.raises(RunError, match=r"must be undamaged.*ckpt-4 .*ckpt-2 .*`restart`"):
        trainer(RECIPE, folder=stopped).restore()


def test_checkpoints_are_tried_from_the_newest(tmp_path):
    for step in (9, 10, 100):
        (tmp_path / f"ckpt-{step}.index").touch()
    (tmp_path / "ckpt-7.data-00000-of-00001").touch()
    listed = [f"{tmp_path}/ckpt-8", f"{tmp_path}/ckpt-10"]
    found = [path.rsplit("/", 1)[1] for path in checkpoints.newest_first(str(tmp_path), listed)]
    assert found == ["ckpt-10", "ckpt-8", "ckpt-100", "ckpt-9"]
    assert list(checkpoints.newest_first(str(tmp_path / "absent"), [])) == []


def test_what_is_left_of_an_unfinished_checkpoint_is_removed(tmp_path):
    kept = [
        *("ckpt-2.index", "ckpt-2.data-00000-of-00001", "history-2.json", "checkpoint"),
        # Its index is lost, but it was complete.
        "ckpt-4.data-00000-of-00001",
    ]
    unfinished = ["ckpt-6.data-00000-of-00001", "ckpt-6.index.tempstate123"]
    for name in (*kept, *unfinished):
        (tmp_path / name).touch()
    for step in (4, 6):
        (tmp_path / f"ckpt-{step}_temp").mkdir()
        (tmp_path / f"ckpt-{step}_temp" / "part-00000-of-00001.index").touch()
    checkpoints.remove_unfinished(str(tmp_path), [f"{tmp_path}/ckpt-4"])
    assert {path.name for path in tmp_path.iterdir()} == set(kept)
    checkpoints.remove_unfinished(str(tmp_path / "absent"), [])


@pytest.mark.moderate
def test_a_full_disk_leaves_the_last_checkpoint_good(trainer, stopped):
    temporary = stopped / "ckpt-5_temp"
    temporary.mkdir()
    (temporary / "part-00000-of-00001.data-00000-of-00001").write_bytes(b"cut")
    resumed = trainer(RECIPE, folder=stopped)
    assert not temporary.exists()
    resumed.restore()
    assert resumed.step == 4


@pytest.mark.moderate
def test_a_checkpoint_of_another_model_is_refused_with_what_differs(trainer, stopped):
    wider = dataclasses.replace(RECIPE, embedding_size=24)
    with pytest.raises(RunError, match=r"must fit the model.*kernel: there 16 x 6, here 24 x 6.*"):
        trainer(wider, folder=stopped).restore()
