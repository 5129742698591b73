"""What embeddings take over from those that they are made of."""

import pytest

from facemill.pipelines.common.derived import format_of, inputs_of
from tests import embedding_sets
from tests.embedding_sets import draw


@pytest.fixture
def write(tmp_path):
    def make(name: str, **inputs: str) -> str:
        return embedding_sets.write(tmp_path / name, ["x"], draw(1, 1, 1), parts=1, inputs=inputs)

    return make


def test_what_all_agree_on_is_passed_on(write):
    one, other = write("a", input="/p", model="/m"), write("b", input="/p", model="/n")
    inputs, identified = inputs_of({"a": one, "b": other})
    assert inputs == {"a": one, "b": other, "input": "/p"}
    assert identified == ["a", "b", "input"]
    assert inputs_of({"a": one})[0] == {"a": one, "input": "/p", "model": "/m"}


def test_a_format_is_passed_on_if_there_is_one():
    manifests = [{"options": {"format": name}} for name in ("lfw", "lfw", "folders")]
    assert format_of(manifests[:2]) == "lfw"
    assert format_of(manifests) is None
    assert format_of([{"options": {}}]) is None
