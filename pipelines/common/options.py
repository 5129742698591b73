"""Flags from a dataclass of options, and the dataclass from parsed flags.

A new flag is one field, made by `transforms.core.fields.option`. The flag of `image_size` is
`--image-size`. A field that is a dataclass itself gives the flags of its own fields; where it has a
flag too, such as `--recipe`, those flags change single values of what it names.
"""

import argparse
import dataclasses
import types
import typing
from collections.abc import Iterator
from typing import Any, TypeVar

from facemill.transforms.core import fields
from facemill.transforms.core.fields import Option, option_of

_Options = TypeVar("_Options")


@dataclasses.dataclass(frozen=True)
class _Flag:
    """One flag.

    Attributes:
        name: such as `--image-size`.
        help: what it means.
        field: whose value it gives.
        kind: type of the value, without None.
        how: the option that the field declares.
    """

    name: str
    help: str
    field: dataclasses.Field
    kind: Any
    how: Option


def flag_of(options: type, name: str) -> str:
    """The flag of a field.

    Args:
        options: the dataclass.
        name: of one of its fields.

    Raises:
        KeyError: it has no such field.
    """
    for field in dataclasses.fields(options):
        if field.name == name:
            how = option_of(field)
            return f"--{(how and how.flag) or name.replace('_', '-')}"
    raise KeyError(name)


def check(options: Any) -> None:
    """Checks each value of an instance; the error names the flag of a wrong one.

    Raises:
        UsageError: a value is none of its choices, or out of its range.
    """
    fields.check(options, lambda name: flag_of(type(options), name))


@dataclasses.dataclass(frozen=True)
class CheckedOptions:
    """Base of a command's options: values are checked when an instance is made.

    A class that has more to check does so in `__post_init__`, after `super().__post_init__()`.
    """

    def __post_init__(self) -> None:
        """Checks each value.

        Raises:
            UsageError: names the flag and what was got.
        """
        check(self)


def add_arguments(parser: argparse.ArgumentParser, options: type) -> None:
    """Adds the flags of a dataclass, in the order of its fields."""
    _add_all(parser, options)


def from_arguments(
    options: type[_Options], namespace: argparse.Namespace, is_local: bool = True
) -> _Options:
    """The options of parsed flags.

    Args:
        options: the dataclass.
        namespace: what the parser returned.
        is_local: whether the job runs on this machine; some defaults depend on it.

    Raises:
        UsageError: a text cannot be parsed, or a value is none of its choices or out of its range.
    """
    values = _given(options, namespace)
    for field, kind in _fields(options):
        how = option_of(field)
        if not is_local and how is not None and how.elsewhere is not None:
            values.setdefault(field.name, how.elsewhere)
        if _holds_options(kind):
            inner = _given(kind, namespace)
            if option_of(field) is None:
                values[field.name] = kind(**inner)
            else:
                values[field.name] = dataclasses.replace(values[field.name], **inner)
    return options(**values)


def _fields(options: type) -> Iterator[tuple[dataclasses.Field, Any]]:
    """Each field and its type, without None."""
    hints = typing.get_type_hints(options)
    for field in dataclasses.fields(options):
        kind = hints[field.name]
        if typing.get_origin(kind) in (types.UnionType, typing.Union):
            (kind,) = (one for one in typing.get_args(kind) if one is not types.NoneType)
        yield field, kind


def _holds_options(kind: Any) -> bool:
    return dataclasses.is_dataclass(kind)


def _add_all(
    parser: argparse.ArgumentParser,
    options: type,
    outer: str = "",
    outer_how: Option | None = None,
) -> None:
    """Adds the flags of a dataclass.

    Args:
        parser: that gets them.
        options: the dataclass.
        outer: the field of another dataclass that holds it, if one does.
        outer_how: the option that that field declares, if it has a flag too.
    """
    found = [(field, kind, option_of(field)) for field, kind in _fields(options)]
    rivals = {how.instead_of for _, _, how in found if how is not None}
    groups: dict[str, Any] = {}
    for field, kind, how in found:
        if how is not None:
            name, text, target = flag_of(options, field.name), how.help, parser
            if how.instead_of:
                text += f", in place of {flag_of(options, how.instead_of)}"
            if outer_how is not None:
                name = f"--{outer_how.inner_flags.get(field.name, name[2:])}"
                text += f" (default: the {outer}'s)"
            if how.instead_of or field.name in rivals:
                group = how.instead_of or field.name
                if group not in groups:
                    groups[group] = parser.add_mutually_exclusive_group()
                target = groups[group]
            _add(target, _Flag(name, text, field, kind, how), outer_how is not None)
        if _holds_options(kind):
            _add_all(parser, kind, field.name, how)


def _add(target: Any, flag: _Flag, overrides: bool = False) -> None:
    """Adds one flag; one whose default depends on other flags sets no value if it is not given."""
    how = flag.how
    added: dict[str, Any] = {"dest": flag.field.name, "help": flag.help}
    if how.metavar is not None:
        added["metavar"] = how.metavar
    if overrides:
        added["default"] = argparse.SUPPRESS
    elif how.elsewhere is not None:
        added["default"] = argparse.SUPPRESS
        default = _default(flag.field, how)
        added["help"] += f" (default: {default}, or {how.elsewhere} if the runner is not local)"
    elif _is_required(flag.field):
        added["required"] = True
    else:
        added["default"] = _default(flag.field, how)
    if how.several:
        added |= {"action": "extend", "nargs": "+"}
    elif how.repeated:
        added["action"] = "append"
    elif how.choices:
        added["choices"] = how.choices
    elif how.parse is None and flag.kind is bool:
        added["action"] = argparse.BooleanOptionalAction
    elif how.parse is None and flag.kind in (int, float):
        added["type"] = flag.kind
    # The formatter shows the default; the yes-or-no action of Python 3.10 would put it in twice.
    target.add_argument(flag.name, **added).help = added["help"]


def _is_required(field: dataclasses.Field) -> bool:
    missing = dataclasses.MISSING
    return field.default is missing and field.default_factory is missing


def _default(field: dataclasses.Field, how: Option) -> Any:
    """The default in the form that argparse shows and parses."""
    if how.written is not None:
        return how.written
    if how.repeated:
        # A list here would begin each list that is given.
        return None
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _given(options: type, namespace: argparse.Namespace) -> dict[str, Any]:
    """The values that flags give; the dataclass fills in the defaults of the others."""
    values = {}
    for field in dataclasses.fields(options):
        how, got = option_of(field), getattr(namespace, field.name, None)
        if how is not None and got is not None:
            values[field.name] = got if how.parse is None else how.parse(got)
    for field in dataclasses.fields(options):
        how = option_of(field)
        if how is not None and how.instead_of in values and field.name not in values:
            values[field.name] = field.default
    return values
