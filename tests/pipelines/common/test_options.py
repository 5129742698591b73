import argparse
import dataclasses

import pytest

from facemill.pipelines.common.options import add_arguments, check, flag_of, from_arguments
from facemill.transforms.core.errors import UsageError
from facemill.transforms.core.fields import option


def halves(text: str) -> tuple[int, int]:
    left, _, right = text.partition(":")
    if not right:
        raise UsageError(f"--two-parts must be A:B, got {text}; write 1:2.")
    return int(left), int(right)


@dataclasses.dataclass(frozen=True)
class Inner:
    deep_value: int = option(3, least=1, help="deep down")
    smooth: bool = option(True, help="without corners")
    epochs: int = option(20, help="passes")
    steps: int | None = option(None, instead_of="epochs", help="steps")


PRESET = Inner(deep_value=7, steps=100)


@dataclasses.dataclass(frozen=True)
class Options:
    in_file: str = option(help="where from")
    some_size: int = option(4, least=1, most=8, help="how large")
    ratio: float | None = option(None, help="how much")
    fast: bool = option(False, help="whether at once")
    kind: str = option("a", choices=("a", "b"), help="which")
    two_parts: tuple[int, int] = option(written="1:2", parse=halves, help="both")
    extras: tuple[str, ...] = option(
        (), parse=tuple, repeated=True, flag="extra", metavar="X", help="more"
    )
    # What has no flag.
    label: str = "nothing"

    def __post_init__(self) -> None:
        check(self)


@dataclasses.dataclass(frozen=True)
class Nested:
    inner: Inner = dataclasses.field(default_factory=Inner)


@dataclasses.dataclass(frozen=True)
class Preset:
    inner: Inner = option(
        written="plain",
        choices=("plain", "preset"),
        parse={"plain": Inner(), "preset": PRESET}.__getitem__,
        inner_flags={"smooth": "round"},
        help="values",
    )


def parser_of(options: type) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(exit_on_error=False, allow_abbrev=False)
    add_arguments(parser, options)
    return parser


def parsed(options: type, *flags: str):
    return from_arguments(options, parser_of(options).parse_args(flags))


def help_of(options: type) -> str:
    return " ".join(parser_of(options).format_help().split())


@dataclasses.dataclass(frozen=True)
class _Elsewhere:
    workers: int = option(factory=lambda: 8, least=1, elsewhere=1, help="processes")


@pytest.mark.parametrize(
    ("flags", "is_local", "workers"),
    [([], True, 8), ([], False, 1), (["--workers", "3"], False, 3), (["--workers", "3"], True, 3)],
)
def test_a_default_may_depend_on_where_the_job_runs(flags, is_local, workers):
    given = parser_of(_Elsewhere).parse_args(flags)
    assert from_arguments(_Elsewhere, given, is_local).workers == workers
    assert _Elsewhere().workers == 8


def test_flags_are_called_like_their_fields():
    assert flag_of(Options, "some_size") == "--some-size"
    assert flag_of(Options, "extras") == "--extra"
    assert flag_of(Options, "label") == "--label"
    with pytest.raises(KeyError, match="no_such"):
        flag_of(Options, "no_such")


def test_without_flags_the_defaults_are_the_dataclass_s():
    assert parsed(Options, "--in-file", "x") == Options("x")
    assert parsed(Options, "--in-file", "x").two_parts == (1, 2)


@pytest.mark.parametrize(
    ("flags", "field", "value"),
    [
        (("--some-size", "8"), "some_size", 8),
        (("--ratio", "0.25"), "ratio", 0.25),
        (("--fast",), "fast", True),
        (("--fast", "--no-fast"), "fast", False),
        (("--kind", "b"), "kind", "b"),
        (("--two-parts", "3:4"), "two_parts", (3, 4)),
        (("--extra", "p", "--extra", "q"), "extras", ("p", "q")),
    ],
)
def test_a_flag_sets_its_field_and_no_other(flags, field, value):
    expected = dataclasses.replace(Options("x"), **{field: value})
    assert parsed(Options, "--in-file", "x", *flags) == expected


def test_a_parser_that_is_used_twice_keeps_no_values():
    parser = parser_of(Options)
    for _ in range(2):
        given = parser.parse_args(["--in-file", "x", "--extra", "p"])
        assert from_arguments(Options, given).extras == ("p",)


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (("--some-size", "x"), "invalid int value: 'x'"),
        (("--ratio", "x"), "invalid float value: 'x'"),
        (("--kind", "c"), "invalid choice: 'c'"),
    ],
)
def test_argparse_refuses_what_is_of_another_type(flags, complaint):
    with pytest.raises(argparse.ArgumentError, match=complaint):
        parsed(Options, "--in-file", "x", *flags)


def test_a_value_out_of_range_is_refused_with_its_flag():
    with pytest.raises(UsageError, match=r"^--some-size must be 1 to 8, got 9; give another.$"):
        parsed(Options, "--in-file", "x", "--some-size", "9")
    with pytest.raises(UsageError, match=r"^--two-parts must be A:B, got 5"):
        parsed(Options, "--in-file", "x", "--two-parts", "5")


def test_help_shows_meaning_and_values():
    text = help_of(Options)
    assert "--in-file IN_FILE where from" in text
    assert "[--kind {a,b}]" in text
    assert "--extra X more" in text
    assert "--fast, --no-fast whether at once" in text
    assert "label" not in text


def test_a_required_flag_must_be_given(capsys):
    parser = argparse.ArgumentParser()
    add_arguments(parser, Options)
    with pytest.raises(SystemExit):
        parser.parse_args([])
    assert "the following arguments are required: --in-file" in capsys.readouterr().err


def test_a_dataclass_in_a_field_gives_the_flags_of_its_own_fields():
    assert parsed(Nested) == Nested(Inner())
    assert parsed(Nested, "--deep-value", "5", "--no-smooth") == Nested(Inner(5, False))


def test_flags_of_an_inner_dataclass_override_single_values_of_the_named_one():
    assert parsed(Preset) == Preset(Inner())
    assert parsed(Preset, "--inner", "preset") == Preset(PRESET)
    given = parsed(Preset, "--deep-value", "5", "--inner", "preset", "--no-round")
    assert given == Preset(dataclasses.replace(PRESET, deep_value=5, smooth=False))
    assert "--deep-value DEEP_VALUE deep down (default: the inner's)" in help_of(Preset)


def test_only_one_of_two_exclusive_flags_may_be_given():
    assert parsed(Preset, "--inner", "preset", "--epochs", "2").inner == Inner(7, True, 2, None)
    assert parsed(Preset, "--inner", "preset", "--steps", "9").inner == Inner(7, True, 20, 9)
    assert "--steps STEPS steps, in place of --epochs" in help_of(Preset)
    for options in (Nested, Preset):
        with pytest.raises(argparse.ArgumentError, match="not allowed with argument --epochs"):
            parsed(options, "--epochs", "2", "--steps", "9")
