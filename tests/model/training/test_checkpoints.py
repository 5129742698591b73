import dataclasses

import pytest

from facemill.model.training import checkpoints
from facemill.model.training import trainer as training
from facemill.transforms.core.errors import RunError
from tests.model.training.one_step import ONE_STEP

RECIPE = dataclasses.replace(ONE_STEP, steps=4)


@pytest.fixture
def stopped(trainer, tmp_path, monkeypatch):
    """The folder of a run of four steps with checkpoints of the second and the fourth."""
    folder = tmp_path / "run"
    monkeypatch.setattr(training, "_CHECK_EVERY", 2)
    monkeypatch.setattr(training, "_CHECKPOINT_SECONDS", -1.0)
    trainer(RECIPE, folder=folder).run()
    assert {path.name for path in folder.glob("*.index")} == {"ckpt-2.index", "ckpt-4.index"}
    return folder


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


def test_what_a_full_disk_left_of_a_checkpoint_is_removed(tmp_path):
    (tmp_path / "ckpt-12_temp").mkdir()
    (tmp_path / "ckpt-12_temp" / "part-00000-of-00001").write_bytes(b"x")
    for name in ("ckpt-8.index", "teacher_targets.npy", "ckpt-8_temporary"):
        (tmp_path / name).touch()
    checkpoints.remove_unfinished(str(tmp_path))
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["ckpt-8.index", "ckpt-8_temporary", "teacher_targets.npy"]
    checkpoints.remove_unfinished(str(tmp_path / "absent"))


def test_a_checkpoint_of_another_model_is_refused_with_what_differs(trainer, stopped):
    wider = dataclasses.replace(RECIPE, embedding_size=24)
    with pytest.raises(RunError, match=r"must fit the model.*kernel: there 16 x 6, here 24 x 6.*"):
        trainer(wider, folder=stopped).restore()
