"""Dataclass fields that carry their help text, their choices or range, and their parser."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from facemill.transforms.core.errors import UsageError

_KEY = "option"


@dataclasses.dataclass(frozen=True)
class Option:
    """The metadata of a field; see `option` for each attribute."""

    help: str
    choices: tuple[str, ...] = ()
    least: float | None = None
    above: float | None = None
    most: float | None = None
    must: str = ""
    advice: str = "give another"
    parse: Callable[[Any], Any] | None = None
    written: str | None = None
    repeated: bool = False
    several: bool = False
    instead_of: str | None = None
    metavar: str | None = None
    flag: str | None = None
    inner_flags: Mapping[str, str] = dataclasses.field(default_factory=dict)
    elsewhere: Any = None

    @property
    def bounded(self) -> bool:
        """Whether it is a number with a range."""
        return (self.least, self.above, self.most) != (None, None, None)

    def allows(self, value: Any) -> bool:
        """Whether a value is one of the choices, or in the range; None is always allowed."""
        if value is None:
            return True
        if self.bounded:
            return (
                math.isfinite(value)
                and (self.least is None or self.least <= value)
                and (self.above is None or self.above < value)
                and (self.most is None or value <= self.most)
            )
        # A parsed value is no longer one of the texts in `choices`.
        return not self.choices or self.parse is not None or value in self.choices

    def complaint(self, name: str, value: Any) -> str:
        """The sentence that refuses a value.

        Args:
            name: of the field, as the reader knows it.
            value: the refused value.
        """
        if self.bounded:
            # As people write the number: 2, not 2.0.
            got = str(value).removesuffix(".0")
            return f"{name} must be {self.must or self._range()}, got {got}; {self.advice}."
        *others, last = self.choices
        allowed = f"{', '.join(others)} or {last}" if others else last
        return f"{name} must be {allowed}, got {value!r}; give one of them."

    def _range(self) -> str:
        if self.above is not None:
            return f"above {self.above}" + (
                "" if self.most is None else f" and at most {self.most}"
            )
        if self.most is None:
            return f"{self.least} or more"
        return f"at most {self.most}" if self.least is None else f"{self.least} to {self.most}"


def option(
    default: Any = dataclasses.MISSING,
    *,
    help: str,
    factory: Callable[[], Any] | None = None,
    choices: Sequence[str] = (),
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    must: str = "",
    advice: str = "give another",
    parse: Callable[[Any], Any] | None = None,
    written: str | None = None,
    repeated: bool = False,
    several: bool = False,
    instead_of: str | None = None,
    metavar: str | None = None,
    flag: str | None = None,
    inner_flags: Mapping[str, str] | None = None,
    elsewhere: Any = None,
) -> Any:
    """A field of a dataclass, such as `size: int = option(112, help="pixels", least=16)`.

    The dataclass declares type and default; this holds all else that the command line needs.

    Args:
        default: without this, `factory` and `written`, the field is required.
        help: what it means, for help texts.
        factory: returns the default, where it depends on the machine.
        choices: the texts that are allowed.
        least: smallest number allowed.
        above: the number must be greater than this one.
        most: largest number allowed.
        must: the range in words, for the error message; by default made of the numbers.
        advice: what to do about a number that is out of range.
        parse: converts the text, or the list of texts where the option is repeated, to the value;
            not needed for `str`, `int`, `float` and `bool`. It may raise UsageError.
        written: the default as text, in place of `default`.
        repeated: whether it may be given several times.
        several: whether it takes several values each time, and may be given several times.
        instead_of: another field, which cannot be given together with this one; where that one is
            given, this one goes back to its default.
        metavar: placeholder of the value in help texts; by default the field's name.
        flag: the flag, where it differs from the field's name.
        inner_flags: for a field that is itself a dataclass: flags of its fields, where they differ
            from the fields' names.
        elsewhere: the default where the job does not run on this machine, if it differs.

    Returns:
        What `dataclasses.field` returns.
    """
    how = Option(
        help=help,
        choices=tuple(choices),
        least=least,
        above=above,
        most=most,
        must=must,
        advice=advice,
        parse=parse,
        written=written,
        repeated=repeated or several,
        several=several,
        instead_of=instead_of,
        metavar=metavar,
        flag=flag,
        inner_flags=inner_flags or {},
        elsewhere=elsewhere,
    )
    if written is not None:
        if parse is None:
            raise TypeError("A default that is written as text must come with its parser.")
        factory = _parsed(parse, written)
    if factory is not None:
        return dataclasses.field(default_factory=factory, metadata={_KEY: how})
    return dataclasses.field(default=default, metadata={_KEY: how})


def _parsed(parse: Callable[[Any], Any], text: str) -> Callable[[], Any]:
    return lambda: parse(text)


def option_of(field: dataclasses.Field) -> Option | None:
    """The metadata of a field, or None if `option` did not make the field."""
    return field.metadata.get(_KEY)


def check(instance: Any, name_of: Callable[[str], str] | None = None) -> None:
    """Checks each field of a dataclass against its choices or its range.

    Args:
        instance: of the dataclass.
        name_of: the reader's name for a field; by default its name in words.

    Raises:
        UsageError: a value is not allowed; the sentence names the field and the value.
    """
    for field in dataclasses.fields(instance):
        how, value = option_of(field), getattr(instance, field.name)
        if how is not None and not how.allows(value):
            name = name_of(field.name) if name_of else field.name.replace("_", " ")
            raise UsageError(how.complaint(name, value))
