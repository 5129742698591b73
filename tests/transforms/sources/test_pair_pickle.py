import builtins
import contextlib
import io
import os
import pickle
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facemill.transforms.sources.pair_pickle import RefusedError, bytes_of, read_pair_file
from tests.pair_files import WRITERS

IMAGES = [b"\xff\xd8a", b"b" * 300, b"\xff\xd8c" * 30_000, b""]
LABELS = [True, False]


@pytest.mark.parametrize("writer", WRITERS)
def test_images_and_labels_are_found_however_they_were_written(writer):
    data = WRITERS[writer](IMAGES, LABELS)
    found = read_pair_file(io.BytesIO(data))
    written = [(data[one.offset : one.offset + one.length], one) for one in found.images]
    assert [bytes_of(some) if one.is_text else some for some, one in written] == IMAGES
    assert found.labels == (True, False)


class _Calls:
    def __init__(self, call, *arguments):
        self._made = call, arguments

    def __reduce__(self):
        return self._made


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        (os.system, ("touch owned",)),
        (builtins.eval, ("open('owned', 'w')",)),
        (builtins.exec, ("open('owned', 'w')",)),
        (np.load, ("x",)),
        (getattr, (b"", "x")),
        (np.frombuffer, (b"x",)),
    ],
)
def test_a_malicious_pickle_is_refused_and_runs_nothing(
    tmp_path, monkeypatch, protocol, call, arguments
):
    monkeypatch.chdir(tmp_path)
    for value in (
        _Calls(call, *arguments),
        ([_Calls(call, *arguments), b"y"], [True]),
        ([b"x", b"y"], [_Calls(call, *arguments)]),
    ):
        with pytest.raises(RefusedError, match="which no list of images and labels needs"):
            read_pair_file(io.BytesIO(pickle.dumps(value, protocol)))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is damaged"),
        (b"\xff\xd8\xff", "is damaged"),
        (pickle.dumps(([b"x", b"y"], [True]), 4)[:-9], "is damaged"),
        (b"cos\nsystem\n(S'touch owned'\ntR.", "names os.system"),
        (b"ios\nsystem\n.", "holds INST"),
        (b"Pid\n.", "holds PERSID"),
        (b"\x80\x02\x82\x01.", "holds EXT1"),
        (b"R.", "a value is absent"),
        (b"\x8e" + struct.pack("<Q", 1 << 40) + b".", "announces 1,099,511,627,776 bytes"),
        (b"I" + b"9" * 10_000 + b"\n.", "is damaged"),
        (b"cnumpy\ndtype\n]\x81.", "holds NEWOBJ"),
        (b"cnumpy\ndtype\n)R.", "is damaged"),
        (b"]h\x05.", "is damaged"),
        (b"]Na.", "does not hold a list of images and a list of labels"),
        (b"NNa.", "appends to what is no list"),
        (b"N}b.", "holds EMPTY_DICT"),
        (b"NNb.", "sets the state of what is no array"),
        (pickle.dumps(([b"x", b"y"], [True]), 0), "names _codecs.encode"),
        (pickle.dumps(([b"x" * 999, b"y"], [True]), 0), "saved as protocol 0, which hides bytes"),
        (b"hi\n", "is damaged: a value is absent"),
        (pickle.dumps({"bins": []}, 4), "holds EMPTY_DICT"),
        (pickle.dumps(([], []), 4), "holds no pair"),
        (pickle.dumps(([b"x"], [True]), 4), "has 1 images and 1 labels"),
        (pickle.dumps(([b"x", 7], [True]), 4), "has no bytes where image 1 must be"),
        (pickle.dumps(([b"x", b"y"], [2]), 4), "a label that is neither true nor false"),
        (pickle.dumps(([b"x", b"y"], ["yes"]), 4), "a label that is neither true nor false"),
        (pickle.dumps((7, [True]), 4), "does not hold a list of images"),
        (pickle.dumps(([np.zeros(3), b"y"], [True]), 4), "has an array of 'f8', not of bytes"),
        (pickle.dumps(([np.zeros(3), b"y"], [True]), 5), "has an array of 'f8', not of bytes"),
        (
            pickle.dumps(([np.array([b"x", None], object), b"y"], [True]), 4),
            "has an array of 'O8', not of bytes",
        ),
    ],
)
def test_what_is_no_such_file_is_refused_in_words(data, said):
    with pytest.raises(RefusedError, match=said):
        read_pair_file(io.BytesIO(data))


def test_a_list_that_holds_itself_ends():
    one: list = [b"x"]
    one.append(one)
    with pytest.raises(RefusedError, match="has no bytes where image 1 must be"):
        read_pair_file(io.BytesIO(pickle.dumps((one, [True]), 4)))


@pytest.mark.moderate
@given(st.sampled_from(sorted(WRITERS)), st.data())
@settings(max_examples=150, deadline=None)
def test_damage_never_ends_in_another_error(writer, draw):
    data = bytearray(WRITERS[writer]([b"ab", b"c" * 300], [True]))
    for _ in range(draw.draw(st.integers(1, 4))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    end = draw.draw(st.integers(0, len(data)))
    with contextlib.suppress(RefusedError):
        read_pair_file(io.BytesIO(bytes(data[:end])))
