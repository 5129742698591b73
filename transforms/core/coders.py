"""How rows and small dataclasses are encoded where they leave a worker.

Beam may use a value as a key only if every process encodes it in the same way. A coder is pickled
as the names of its class and of the type that it encodes, so it does not depend on the process
that built the graph.
"""

import dataclasses
import enum
import types
import typing
from typing import Any

from apache_beam import coders
from apache_beam.typehints.native_type_compatibility import convert_to_beam_type

from facemill.transforms.core.reasons import Reason, ReasonCode
from facemill.transforms.core.rows import Rows


class RowsCoder(coders.Coder):
    """Encodes rows of one kind as the bytes that they hold.

    Args:
        kind: the subclass of `Rows`.
    """

    def __init__(self, kind: type[Rows]) -> None:
        self._kind = kind

    def encode(self, value: Rows) -> bytes:
        """The bytes of the array."""
        return value.data

    def decode(self, encoded: bytes) -> Rows:
        """The rows."""
        return self._kind(encoded)

    def estimate_size(self, value: Rows) -> int:
        """Bytes."""
        return len(value.data)

    def is_deterministic(self) -> bool:
        """Equal rows have equal bytes."""
        return True

    def to_type_hint(self) -> type[Rows]:
        """The class."""
        return self._kind

    @classmethod
    def from_type_hint(cls, kind: type[Rows], registry: Any) -> "RowsCoder":
        """The coder of a kind of rows."""
        del registry
        return cls(kind)

    def __repr__(self) -> str:
        return f"RowsCoder[{self._kind.__name__}]"


class DataclassCoder(coders.Coder):
    """Encodes a frozen dataclass: its fields one after another, each by the coder of its type.

    A field is an int of any size, a str, bytes, a float or a bool; an enum, a `Reason`, a
    dataclass; or a list or tuple of these. Each may be optional.

    Args:
        kind: the class.

    Raises:
        TypeError: a field is of a type that has no deterministic coder.
    """

    def __init__(self, kind: type) -> None:
        self._kind = kind
        hints = typing.get_type_hints(kind)
        self._names = tuple(field.name for field in dataclasses.fields(kind))
        self._fields = coders.TupleCoder([_coder_of(hints[name]) for name in self._names])
        if not self._fields.is_deterministic():
            raise TypeError(f"{kind.__name__} must have fields with deterministic coders.")

    def encode(self, value: Any) -> bytes:
        """The encoded fields."""
        return self._fields.encode(tuple([getattr(value, name) for name in self._names]))

    def decode(self, encoded: bytes) -> Any:
        """An instance."""
        return self._kind(*self._fields.decode(encoded))

    def is_deterministic(self) -> bool:
        """Every field's coder is deterministic."""
        return True

    def to_type_hint(self) -> type:
        """The class."""
        return self._kind

    @classmethod
    def from_type_hint(cls, kind: type, registry: Any) -> "DataclassCoder":
        """The coder of a dataclass."""
        del registry
        return cls(kind)

    def __reduce__(self) -> tuple[type, tuple[type]]:
        return type(self), (self._kind,)

    def __repr__(self) -> str:
        return f"DataclassCoder[{self._kind.__name__}]"


class EnumCoder(coders.Coder):
    """Encodes a member of an enum as its name.

    Args:
        kind: the enum.
    """

    def __init__(self, kind: type[enum.Enum]) -> None:
        self._kind = kind

    def encode(self, value: enum.Enum) -> bytes:
        """The name."""
        return value.name.encode("utf-8")

    def decode(self, encoded: bytes) -> enum.Enum:
        """The member."""
        return self._kind[encoded.decode("utf-8")]

    def is_deterministic(self) -> bool:
        """A member has one name."""
        return True

    def to_type_hint(self) -> type[enum.Enum]:
        """The class."""
        return self._kind


class ReasonCoder(coders.Coder):
    """Encodes a `Reason` as its code and its text."""

    _parts = coders.TupleCoder([coders.StrUtf8Coder(), coders.StrUtf8Coder()])

    def encode(self, value: Reason) -> bytes:
        """The encoded code and text."""
        return self._parts.encode((value.code.value, str(value)))

    def decode(self, encoded: bytes) -> Reason:
        """The reason."""
        code, text = self._parts.decode(encoded)
        return Reason(ReasonCode(code), text)

    def is_deterministic(self) -> bool:
        """Equal texts with equal codes have equal bytes."""
        return True

    def to_type_hint(self) -> type[Reason]:
        """The class."""
        return Reason


def register(*kinds: type) -> None:
    """Registers coders for kinds of `Rows` and for frozen dataclasses.

    Each module that builds a graph calls it for the types of the elements in that graph.
    """
    for kind in kinds:
        coder = RowsCoder if issubclass(kind, Rows) else DataclassCoder
        coders.registry.register_coder(kind, coder)


def _coder_of(hint: Any) -> coders.Coder:
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint is int:
        # Row ids and hashes are unsigned 64-bit numbers, and Beam's usual coder ends at 63 bits.
        return coders.BigIntegerCoder()
    if hint is Reason:
        return ReasonCoder()
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return EnumCoder(hint)
    if dataclasses.is_dataclass(hint):
        return DataclassCoder(typing.cast(type, hint))
    if origin in (typing.Union, types.UnionType) and len(inner) == 2 and type(None) in inner:
        return coders.NullableCoder(_coder_of(next(one for one in inner if one is not type(None))))
    if origin is list:
        return coders.ListCoder(_coder_of(inner[0]))
    if origin is tuple and inner[-1] is Ellipsis:
        return coders.TupleSequenceCoder(_coder_of(inner[0]))
    if origin is tuple:
        return coders.TupleCoder([_coder_of(one) for one in inner])
    return coders.registry.get_coder(convert_to_beam_type(hint))
