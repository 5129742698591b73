import pytest
import tensorflow as tf

from facemill.transforms.core import cores
from facemill.transforms.core.tensorflow_threads import bound_tensorflow_threads


@pytest.fixture
def threads(monkeypatch):
    """The numbers of threads that TensorFlow is given."""
    given = {}
    for kind in ("intra", "inter"):
        name = f"set_{kind}_op_parallelism_threads"
        monkeypatch.setattr(
            tf.config.threading, name, lambda number, kind=kind: given.update({kind: number})
        )
    monkeypatch.setattr(cores, "usable", lambda: 3)
    return given


@pytest.mark.parametrize(
    ("quota", "given"),
    [(2, {"intra": 2, "inter": 2}), (8, {"intra": 3, "inter": 3}), (None, {})],
)
def test_threads_are_bounded_by_the_quota_and_left_alone_without_one(
    threads, monkeypatch, quota, given
):
    monkeypatch.setattr(cores, "quota", lambda: quota)
    bound_tensorflow_threads()
    assert threads == given


def test_threads_that_run_already_are_no_error(monkeypatch):
    def refuse(number: int) -> None:
        raise RuntimeError("must be set before it is initialized")

    monkeypatch.setattr(cores, "quota", lambda: 2)
    monkeypatch.setattr(tf.config.threading, "set_intra_op_parallelism_threads", refuse)
    bound_tensorflow_threads()
