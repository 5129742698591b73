import enum
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from apache_beam import coders
from apache_beam.internal import pickler
from apache_beam.typehints.native_type_compatibility import convert_to_beam_type

from facemill.transforms.core.coders import DataclassCoder, EnumCoder, RowsCoder, register
from facemill.transforms.core.reasons import Reason, ReasonCode
from facemill.transforms.core.rows import KeyRows, RowIds
from facemill.transforms.duplicates.verdicts import Exclusion, Verdict

ROOT = Path(__file__).parents[3]
BEYOND_63_BITS = 2**64 - 1
EXCLUSION = Exclusion(
    BEYOND_63_BITS,
    0,
    1 << 63,
    Verdict("duplicate", Reason(ReasonCode.NAME_NOT_UTF8, "same pixels"), "Zoë/1.jpg"),
)


class Color(enum.Enum):
    RED = "r"
    BLUE = "b"


@dataclass(frozen=True)
class Thing:
    number: int
    data: bytes
    color: Color
    parts: list[Verdict]
    box: tuple[float, float] | None
    names: tuple[str, ...] = ()
    flag: bool = False


@dataclass(frozen=True)
class Untyped:
    anything: dict[str, Any]


THING = Thing(
    -(2**70), b"\0\xff", Color.BLUE, [EXCLUSION.verdict] * 2, (0.1, -2.5), ("a", ""), True
)


@pytest.mark.parametrize(
    "value",
    [
        EXCLUSION,
        THING,
        Thing(0, b"", Color.RED, [], None),
        RowIds.of(np.array([BEYOND_63_BITS, 0], np.uint64)),
        RowIds(b""),
    ],
)
def test_a_decoded_value_equals_the_encoded_one(value):
    register(RowIds, Exclusion, Thing)
    coder = coders.registry.get_coder(type(value))
    assert coder.to_type_hint() is type(value)
    assert coder.is_deterministic()
    assert coder.decode(coder.encode(value)) == value
    several = coders.ListCoder(coder)
    assert several.decode(several.encode([value, value])) == [value, value]
    assert coder.estimate_size(value) == len(coder.encode(value))


def test_a_reason_keeps_its_code():
    coder = DataclassCoder(Exclusion)
    reason = coder.decode(coder.encode(EXCLUSION)).verdict.reason
    assert (reason.code, str(reason)) == (ReasonCode.NAME_NOT_UTF8, "same pixels")


def test_rows_are_encoded_as_the_bytes_of_their_array():
    array = np.arange(5, dtype=np.uint64)
    assert RowsCoder(RowIds).encode(RowIds.of(array)) == array.tobytes()


def test_a_stream_of_pairs_gets_the_registered_coders():
    register(KeyRows, Exclusion)
    found = coders.registry.get_coder(convert_to_beam_type(tuple[int, KeyRows]))
    assert repr(found) == "TupleCoder[VarIntCoder, RowsCoder[KeyRows]]"
    assert found == coders.TupleCoder([coders.VarIntCoder(), RowsCoder(KeyRows)])
    assert found != coders.TupleCoder([coders.VarIntCoder(), RowsCoder(RowIds)])
    found = coders.registry.get_coder(convert_to_beam_type(list[Exclusion]))
    assert repr(found) == "ListCoder[DataclassCoder[Exclusion]]"


def test_a_dataclass_without_a_deterministic_encoding_is_refused():
    with pytest.raises(TypeError, match=r"^Untyped must have fields with deterministic coders"):
        DataclassCoder(Untyped)


@pytest.mark.moderate
def test_a_pickled_coder_decodes_values_in_another_process():
    values = (EXCLUSION, RowIds.of(np.arange(3, dtype=np.uint64)), Color.BLUE)
    kinds = (DataclassCoder(Exclusion), RowsCoder(RowIds), EnumCoder(Color))
    coder = coders.TupleCoder(kinds)
    encoded = coder.encode(values)
    script = (
        "import sys; from apache_beam.internal import pickler\n"
        "coder = pickler.loads(bytes.fromhex(sys.argv[1]))\n"
        "values = coder.decode(bytes.fromhex(sys.argv[2]))\n"
        "print(coder.encode(values).hex(), [type(one).__qualname__ for one in values])"
    )
    # Beam pickles a pickle as text.
    arguments = [pickler.dumps(coder).hex(), encoded.hex()]
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split(maxsplit=1) == [
        encoded.hex(),
        "['Exclusion', 'RowIds', 'Color']\n",
    ]
