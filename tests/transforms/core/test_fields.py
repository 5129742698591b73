import dataclasses

import pytest

from facemill.transforms.core.errors import UsageError
from facemill.transforms.core.fields import check, option, option_of


@dataclasses.dataclass(frozen=True)
class Thing:
    name: str = option(help="of it")
    size: int = option(4, least=1, most=8, help="of its side")
    share: float = option(0.5, above=0, most=1, advice="give 0.5", help="of all")
    depth: float | None = option(None, least=0, help="below ground")
    height: float = option(1.0, above=0, help="above ground")
    heat: float = option(0.0, most=100, help="of it")
    many: int = option(1, least=1, most=10**6, must="1 to 1,000,000", help="of them")
    color: str = option("red", choices=("red", "green", "blue"), help="of its skin")
    only: str = option("one", choices=("one",), help="of its kind")
    pair: tuple[int, ...] = option(
        written="1,2", parse=lambda text: tuple(text.split(",")), help=""
    )
    tags: dict[str, int] = option(factory=dict, help="of it")


def test_a_field_keeps_its_default_and_its_option():
    thing = Thing("a")
    assert (thing.size, thing.pair, thing.tags) == (4, ("1", "2"), {})
    assert Thing("b").tags is not thing.tags
    size = {field.name: option_of(field) for field in dataclasses.fields(Thing)}["size"]
    assert (size.help, size.least, size.most) == ("of its side", 1, 8)


def test_a_field_without_default_must_be_given():
    with pytest.raises(TypeError, match="name"):
        Thing()


def test_a_plain_field_has_no_option_and_is_not_checked():
    plain = dataclasses.make_dataclass("Plain", [("size", int, dataclasses.field(default=1))])
    assert option_of(dataclasses.fields(plain)[0]) is None
    check(plain(size="anything"))


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"size": 1},
        {"size": 8},
        {"share": 1e-9},
        {"share": 1},
        {"depth": 0},
        {"depth": None},
        {"heat": -5.0},
        {"color": "blue"},
        {"pair": "what a parser made is not looked at"},
    ],
)
def test_a_value_in_its_range_or_choices_passes(values):
    check(Thing("a", **values))


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"size": 0}, "size must be 1 to 8, got 0; give another."),
        ({"size": 9}, "size must be 1 to 8, got 9; give another."),
        ({"share": 0.0}, "share must be above 0 and at most 1, got 0; give 0.5."),
        ({"share": 1.5}, "share must be above 0 and at most 1, got 1.5; give 0.5."),
        ({"share": float("nan")}, "share must be above 0 and at most 1, got nan; give 0.5."),
        ({"depth": -1e-9}, "depth must be 0 or more, got -1e-09; give another."),
        ({"depth": float("inf")}, "depth must be 0 or more, got inf; give another."),
        ({"height": 0}, "height must be above 0, got 0; give another."),
        ({"heat": 101}, "heat must be at most 100, got 101; give another."),
        ({"many": 0}, "many must be 1 to 1,000,000, got 0; give another."),
        ({"color": "pink"}, "color must be red, green or blue, got 'pink'; give one of them."),
        ({"only": "two"}, "only must be one, got 'two'; give one of them."),
    ],
)
def test_a_value_outside_its_range_or_choices_is_refused_in_one_sentence(values, sentence):
    with pytest.raises(UsageError) as refused:
        check(Thing("a", **values))
    assert str(refused.value) == sentence


def test_the_sentence_uses_the_given_name_of_the_field():
    with pytest.raises(UsageError, match=r"^THE size OF IT must be 1 to 8, got 0"):
        check(Thing("a", size=0), lambda name: f"THE {name} OF IT")


def test_a_default_as_text_needs_a_parser():
    with pytest.raises(TypeError, match="must come with its parser"):
        option(written="1,2", help="of it")
